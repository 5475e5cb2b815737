// Package settings reads a program's settings from its environment. A program declares one Table, whose rows say a
// setting's name, default, meaning and where its value goes; everything else (`formidling config`, the table in
// README.md, the refusal of misspelt names) is made from that table.
//
// A name that begins with FORMIDLING_ and that no table knows is an error, because a misspelt setting must not be
// ignored. A row may have an Alias, an older name that stays valid; giving both names different values is an error.
// The parsers (Text, Count, Bytes, Duration, List, Switch) say in their errors what they would have accepted.
//
// The package knows nothing of the settings themselves, and reads no environment by itself: main passes it on.
package settings
