// Package models is the language of Formidling: transfers, recipients, events, resources, rights,
// their statuses with one table of allowed moves, and every error a caller may see.
// It does no input or output, reads no clock and imports nothing of ours.
package models
