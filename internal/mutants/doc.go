// Command mutants keeps the tests honest: each file in patches is a bug that somebody could write and that a test must
// notice. It lays the bug over the tree, which stays as it is, runs the tests that the patch names, and reports which
// bugs were killed and which survived (make mutants; MUTANTS=pattern chooses by name).
//
// A patch is a unified diff behind two lines: "tests:" has the arguments of go test, packages first, and "why:" says
// what the bug would do to whom. A patch that does not apply any more, does not compile or names no test is an error:
// write it anew against the code as it is. In CI those patches run that touch what a change touches, and some
// others; -changed, -least and -budget say so.
//
// A new rule deserves a mutant: break it the way a tired colleague would, and see which test complains.
package main
