package client

import (
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest file name that every file system takes, in bytes, less what ReceiveFile may add to it.
const maxName = 200

// SafeName makes a file name that a sender chose fit for a directory of the recipient's: its last element only,
// without control, formatting and reserved characters, not hidden, not a device's, at most 200 bytes. A name
// of which nothing is left becomes "file".
func SafeName(name string) string {
	if at := strings.LastIndexAny(name, `/\`); at >= 0 {
		name = name[at+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, !unicode.IsPrint(r): // no control or bidirectional formatting characters
			return -1
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(strings.TrimSpace(name), ". ")
	if strings.HasPrefix(name, ".") {
		name = "_" + name[1:]
	}
	if name == "" {
		return "file"
	}
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	if reservedNames[stem] {
		name = "_" + name
	}
	if len(name) <= maxName {
		return name
	}
	extension := filepath.Ext(name)
	if len(extension) > 20 {
		extension = ""
	}
	return strings.ToValidUTF8(name[:maxName-len(extension)], "") + extension
}

// reservedNames are devices in Windows, with any extension.
var reservedNames = func() map[string]bool {
	out := map[string]bool{"CON": true, "PRN": true, "AUX": true, "NUL": true}
	for _, n := range "123456789" {
		out["COM"+string(n)], out["LPT"+string(n)] = true, true
	}
	return out
}()

// withID puts a transfer's id before the extension of a name.
func withID(name string, id FileTransferID) string {
	extension := filepath.Ext(name)
	return strings.TrimSuffix(name, extension) + "." + id.String() + extension
}

// printable keeps what a terminal shows as it is.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}
