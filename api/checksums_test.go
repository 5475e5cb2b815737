package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/api/apitest"
	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/models"
)

func TestComputeMd5_MayBeTurnedOffByTheService(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	before := b.Initialize(func(d map[string]any) { d["checksum"] = apitest.MD5Hex([]byte(content)) })
	var r contract.Resource
	b.Call(owner, "GET", "/resource/"+svc, "").JSON(&r)
	require.True(t, r.ComputeMd5, "it is on unless the service says otherwise")
	b.Policy(`{"computeMd5":false}`)
	b.Call(owner, "GET", "/resource/"+svc, "").JSON(&r)
	require.False(t, r.ComputeMd5)
	b.Policy(`{"maxRecipients":5}`)
	b.Call(owner, "GET", "/resource/"+svc, "").JSON(&r)
	require.False(t, r.ComputeMd5, "what is not named stays")

	for _, size := range []int{0, 10, 3 << 20} {
		file := []byte(strings.Repeat("x", size))
		id := b.Initialize(func(d map[string]any) { d["sha256"] = apitest.SHA256Hex(file) })
		b.Upload(id, file).Is(http.StatusOK, "")
		o := b.Overview(bob, id)
		require.Nil(t, o.Checksum)
		require.Equal(t, apitest.SHA256Hex(file), *o.Sha256)
		require.Equal(t, file, append([]byte{}, b.Call(bob, "GET", "/filetransfer/"+id+"/download", "").Raw...))
	}
	wrong := b.Initialize(func(d map[string]any) { d["sha256"] = apitest.SHA256Hex([]byte("other")) })
	b.Upload(wrong, []byte(content)).Is(http.StatusBadRequest, "BRO-00009")

	b.Upload(before, []byte(content)).Is(http.StatusOK, "")
	require.Equal(t, apitest.MD5Hex([]byte(content)), *b.Overview(bob, before).Checksum, "a transfer keeps what it was accepted under")
}

func TestComputeMd5_TurnedOffRefusesADeclaredMD5(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Policy(`{"computeMd5":false}`)
	d := apitest.Draft()
	d["checksum"] = apitest.MD5Hex([]byte(content))
	p := b.Call(alice, "POST", "/filetransfer", apitest.ToJSON(t, d)).Is(http.StatusBadRequest, "FMD-00001").Problem()
	require.Contains(t, p.Errors, "checksum")
	require.Contains(t, p.Errors["checksum"][0], "computeMd5")

	d["sender"] = string(bob) // who may not send is told nothing of the service
	b.Call(bob, "POST", "/filetransfer", apitest.ToJSON(t, d)).Is(http.StatusUnauthorized, "BRO-00006")
}

func TestComputeMd5_TurnedOffHoldsForForms(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Policy(`{"computeMd5":false}`)
	parts := apitest.FormParts()
	first := append([]apitest.FormPart{parts[len(parts)-1]}, parts[:len(parts)-1]...)
	for _, order := range [][]apitest.FormPart{parts, first} { // the file after its metadata, and before
		var out contract.FileUploaded
		b.Form(order).Is(http.StatusOK, "").JSON(&out)
		require.Nil(t, b.Overview(alice, out.FileTransferID.String()).Checksum)
	}
	kept := len(b.Stored())
	declared := apitest.FormPart{"Metadata.Checksum", apitest.MD5Hex([]byte("the content"))}
	for _, order := range [][]apitest.FormPart{append([]apitest.FormPart{declared}, parts...), append(parts[:len(parts):len(parts)], declared)} {
		require.Contains(t, b.Form(order).Is(http.StatusBadRequest, "FMD-00001").Problem().Errors, "checksum")
	}
	require.Len(t, b.Stored(), kept, "nothing stays behind")
}

// A form whose service changes its mind while the file is on its way.
func TestComputeMd5_TurnedOnDuringAFormNeverComparesWithNothing(t *testing.T) {
	t.Parallel()
	b := apitest.Setup(t)
	b.Policy(`{"computeMd5":false}`)
	parts := apitest.FormParts()
	d := models.Draft{ResourceID: svc}
	require.Equal(t, []models.Hash{models.HashMD5}, b.Server.LeftOut(t.Context(), d))
	d.Checksum = apitest.MD5Hex([]byte("the content"))
	require.Empty(t, b.Server.LeftOut(t.Context(), d), "what is declared is computed, and refused later if need be")
	b.Policy(`{"computeMd5":true}`)
	d.Checksum = ""
	require.Empty(t, b.Server.LeftOut(t.Context(), d))
	b.Form(append(parts, apitest.FormPart{"Metadata.Checksum", apitest.MD5Hex([]byte("the content"))})).Is(http.StatusOK, "")
}
