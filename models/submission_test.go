package models

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewSubmission_HasNoOrganisationTwice(t *testing.T) {
	t.Parallel()
	d := draft()
	d.Recipients = []string{"0192:910753615", "urn:altinn:organization:identifier-no:910753615", "0192:910753616", "9908:910753615", "0192:910753616"}
	s, err := NewSubmission(d, 2)
	require.NoError(t, err, "the limit is of different organisations")
	require.Equal(t, []Addressee{{"0192:910753615", "0192:910753615"}, {"0192:910753616", "0192:910753616"}}, s.Recipients, "in the sender's order and first spelling")
	require.Equal(t, []Party{"0192:910753615", "0192:910753616"}, Parties(s.Recipients))
	d.Recipients = append(d.Recipients, "0192:910753617")
	_, err = NewSubmission(d, 2)
	require.ErrorIs(t, err, errInvalid)
}

func TestNewSubmission_IsNormalisedAndEchoesWhatWasGiven(t *testing.T) {
	t.Parallel()
	d := Draft{
		FileName: "a.zip", ResourceID: "urn:altinn:resource:svc", SendersReference: "ref", Sender: "9908:910753614",
		Recipients: []string{"urn:altinn:organization:identifier-no:910753615"}, PropertyList: map[string]string{"k": "v"},
		Checksum: strings.Repeat("a", 32), SHA256: strings.Repeat("b", 64), DisableVirusScan: true, Proof: "p",
	}
	s, err := NewSubmission(d, 1)
	require.NoError(t, err)
	require.NotEmpty(t, s.RequestHash)
	s.RequestHash, s.EarlierHash = "", ""
	require.Equal(t, Submission{
		ResourceID: "svc", Sender: Addressee{"0192:910753614", "9908:910753614"},
		Recipients: []Addressee{{"0192:910753615", "urn:altinn:organization:identifier-no:910753615"}},
		FileName:   "a.zip", SendersReference: "ref", PropertyList: d.PropertyList, MD5: d.Checksum, SHA256: d.SHA256, DisableVirusScan: true, Proof: "p",
	}, s)
	s.By = Caller{Party: "0192:910753614", Supplier: another}
	require.Equal(t, Question{Action: ActionSend, From: "0192:910753614", To: []Party{"0192:910753615"}, By: s.By}, s.Question())
	s.By.Party = stranger
	require.Equal(t, s.Sender.Party, s.Question().By.Party, "it is asked for the sender")
	s.IdempotencyKey = "k"
	require.Equal(t, SubmissionProof{IdempotencyKey: "k", Recipients: []Party{"0192:910753615"}, Reference: "ref", Sender: "0192:910753614", Service: "svc", SHA256: d.SHA256}, s.SubmissionProof())
}

func TestNewSubmission_NamesTheFieldThatBreaksItsRule(t *testing.T) {
	t.Parallel()
	eleven := map[string]string{}
	for i := range 11 {
		eleven[fmt.Sprint(i)] = ""
	}
	for name, c := range map[string]struct {
		spoil func(*Draft)
		field string
	}{
		"no name":          {func(d *Draft) { d.FileName = "" }, "fileName"},
		"long name":        {func(d *Draft) { d.FileName = strings.Repeat("æ", MaxFileName+1) }, "fileName"},
		"NUL in name":      {func(d *Draft) { d.FileName = "a\x00" }, "fileName"},
		"bytes in name":    {func(d *Draft) { d.FileName = "\xff" }, "fileName"},
		"long reference":   {func(d *Draft) { d.SendersReference = strings.Repeat("x", MaxReference+1) }, "sendersFileTransferReference"},
		"no service":       {func(d *Draft) { d.ResourceID = "" }, "resourceId"},
		"bad service":      {func(d *Draft) { d.ResourceID = "a:b" }, "resourceId"},
		"no sender":        {func(d *Draft) { d.Sender = "" }, "sender"},
		"bad sender":       {func(d *Draft) { d.Sender = "910753614" }, "sender"},
		"no recipients":    {func(d *Draft) { d.Recipients = nil }, "recipients"},
		"bad recipient":    {func(d *Draft) { d.Recipients = append(d.Recipients, "x") }, "recipients[1]"},
		"properties":       {func(d *Draft) { d.PropertyList = eleven }, "propertyList"},
		"long key":         {func(d *Draft) { d.PropertyList = map[string]string{strings.Repeat("k", MaxPropertyKey+1): ""} }, "propertyList"},
		"long value":       {func(d *Draft) { d.PropertyList = map[string]string{"k": strings.Repeat("v", MaxPropertyValue+1)} }, "propertyList"},
		"NUL in key":       {func(d *Draft) { d.PropertyList = map[string]string{"\x00": ""} }, "propertyList"},
		"NUL in value":     {func(d *Draft) { d.PropertyList = map[string]string{"": "\x00"} }, "propertyList"},
		"short MD5":        {func(d *Draft) { d.Checksum = "a" }, "checksum"},
		"MD5 in capitals":  {func(d *Draft) { d.Checksum = strings.Repeat("A", 32) }, "checksum"},
		"SHA-256 of MD5":   {func(d *Draft) { d.SHA256 = strings.Repeat("a", 32) }, "sha256"},
		"proof of nothing": {func(d *Draft) { d.Proof = "p" }, "proof"},
		"long proof":       {func(d *Draft) { d.Proof, d.SHA256 = strings.Repeat("p", MaxProof+1), strings.Repeat("a", 64) }, "proof"},
	} {
		d := draft()
		c.spoil(&d)
		_, err := NewSubmission(d, 10)
		require.ErrorIs(t, err, errInvalid, name)
		e, _ := AsError(err)
		require.Len(t, e.Fields, 1, name)
		require.Equal(t, c.field, e.Fields[0].Field, name)
	}
}

func TestNewSubmission_TakesEachLimitItself(t *testing.T) {
	t.Parallel()
	ten := map[string]string{}
	for i := range MaxProperties {
		ten[fmt.Sprintf("%0*d", MaxPropertyKey, i)] = strings.Repeat("æ", MaxPropertyValue)
	}
	d := draft()
	d.FileName, d.SendersReference, d.PropertyList = strings.Repeat("æ", MaxFileName), strings.Repeat("æ", MaxReference), ten
	_, err := NewSubmission(d, 1)
	require.NoError(t, err)
}

func TestNewSubmission_AnswersWithABoundedListOfFaults(t *testing.T) {
	t.Parallel()
	d := draft()
	d.Recipients = make([]string, 10_000)
	_, err := NewSubmission(d, 10)
	e, ok := AsError(err)
	require.True(t, ok)
	require.Len(t, e.Fields, maxFaults)
}
