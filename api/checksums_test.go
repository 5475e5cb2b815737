package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func TestComputeMd5_MayBeTurnedOffByTheService(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.initialize(func(d map[string]any) { d["checksum"] = md5Hex([]byte(content)) })
	var r contract.Resource
	b.call(owner, "GET", "/resource/"+svc, "").json(&r)
	require.True(t, r.ComputeMd5, "it is on unless the service says otherwise")
	b.policy(`{"computeMd5":false}`)
	b.call(owner, "GET", "/resource/"+svc, "").json(&r)
	require.False(t, r.ComputeMd5)
	b.policy(`{"maxRecipients":5}`)
	b.call(owner, "GET", "/resource/"+svc, "").json(&r)
	require.False(t, r.ComputeMd5, "what is not named stays")

	for _, size := range []int{0, 10, 3 << 20} {
		file := []byte(strings.Repeat("x", size))
		id := b.initialize(func(d map[string]any) { d["sha256"] = sha256Hex(file) })
		b.upload(id, file).is(http.StatusOK, "")
		o := b.overview(bob, id)
		require.Nil(t, o.Checksum)
		require.Equal(t, sha256Hex(file), *o.Sha256)
		require.Equal(t, file, append([]byte{}, b.call(bob, "GET", "/filetransfer/"+id+"/download", "").body...))
	}
	wrong := b.initialize(func(d map[string]any) { d["sha256"] = sha256Hex([]byte("other")) })
	b.upload(wrong, []byte(content)).is(http.StatusBadRequest, "BRO-00009")

	b.upload(before, []byte(content)).is(http.StatusOK, "")
	require.Equal(t, md5Hex([]byte(content)), *b.overview(bob, before).Checksum, "a transfer keeps what it was accepted under")
}

func TestComputeMd5_TurnedOffRefusesADeclaredMD5(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.policy(`{"computeMd5":false}`)
	d := draft()
	d["checksum"] = md5Hex([]byte(content))
	p := b.call(alice, "POST", "/filetransfer", toJSON(t, d)).is(http.StatusBadRequest, "FMD-00001").problem()
	require.Contains(t, p.Errors, "checksum")
	require.Contains(t, p.Errors["checksum"][0], "computeMd5")

	d["sender"] = string(bob) // who may not send is told nothing of the service
	b.call(bob, "POST", "/filetransfer", toJSON(t, d)).is(http.StatusUnauthorized, "BRO-00006")
}

func TestComputeMd5_TurnedOffHoldsForForms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.policy(`{"computeMd5":false}`)
	parts := formParts()
	first := append([]part{parts[len(parts)-1]}, parts[:len(parts)-1]...)
	for _, order := range [][]part{parts, first} { // the file after its metadata, and before
		var out contract.FileUploaded
		b.form(order).is(http.StatusOK, "").json(&out)
		require.Nil(t, b.overview(alice, out.FileTransferID.String()).Checksum)
	}
	kept := len(b.stored())
	declared := part{"Metadata.Checksum", md5Hex([]byte("the content"))}
	for _, order := range [][]part{append([]part{declared}, parts...), append(parts[:len(parts):len(parts)], declared)} {
		require.Contains(t, b.form(order).is(http.StatusBadRequest, "FMD-00001").problem().Errors, "checksum")
	}
	require.Len(t, b.stored(), kept, "nothing stays behind")
}

// A form whose service changes its mind while the file is on its way.
func TestComputeMd5_TurnedOnDuringAFormNeverComparesWithNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.policy(`{"computeMd5":false}`)
	parts := formParts()
	f := &form{s: b.server, draft: models.Draft{ResourceID: svc}}
	require.Equal(t, []models.Hash{models.HashMD5}, f.leftOut(t.Context()))
	f.draft.Checksum = md5Hex([]byte("the content"))
	require.Empty(t, f.leftOut(t.Context()), "what is declared is computed, and refused later if need be")
	b.policy(`{"computeMd5":true}`)
	f.draft.Checksum = ""
	require.Empty(t, f.leftOut(t.Context()))
	b.form(append(parts, part{"Metadata.Checksum", md5Hex([]byte("the content"))})).is(http.StatusOK, "")
}
