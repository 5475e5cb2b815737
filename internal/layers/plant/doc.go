// Command plant proves that the linter holds the table of package layers: it writes every import that the table
// forbids into a copy of the tree, runs depguard there once, and wants a complaint for each of them and for nothing
// else. It is run by make layers, from the root of the module.
//
// Forbidden imports make circles, and Go refuses to load a circle before any linter sees it. So the copy is a module
// of another name, and what it imports under our name is a module of empty packages, one for each room: the linter
// reads the same paths in the same files, and nothing depends on anything. Of others' modules it plants the packages
// that the tree imports somewhere.
package main
