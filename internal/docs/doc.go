// Package docs keeps the documents of the repository true. It has no code of its own, only tests that read every
// Markdown file and every comment of the tree:
//
//   - a relative link leads to a file that exists, and its #anchor to a heading there
//   - a citation such as docs/reference/altinn-broker.md 1.3 leads to a section, and any other docs/….md to a file
//   - each decision under docs/adr carries its number in its title
//
// Tests beside what they describe hold the rest: snippets are run and tables are rendered by tests of models and of
// the program.
package docs
