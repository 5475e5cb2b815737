package models

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestView_IsNarrowedToTheRolesInWhichSomebodyMayLook(t *testing.T) {
	t.Parallel()
	both := []Role{RoleSender, RoleRecipient}
	v := seenBySender(TransferPublished)

	all := v.For(sender, both)
	require.Empty(t, all.Withheld)
	require.Len(t, all.Recipients, 2)

	none := v.For(sender, []Role{RoleRecipient})
	require.Equal(t, RoleSender, none.Withheld)
	require.Empty(t, none.Recipients, "who only received may not see to whom it was sent")
	require.Len(t, v.Recipients, 2, "the view that was read is left as it is")

	toItself := seenBySender(TransferPublished)
	toItself.Recipients[1].Party = sender
	own := toItself.For(sender, []Role{RoleRecipient})
	require.Equal(t, RoleSender, own.Withheld)
	require.Len(t, own.Recipients, 1)
	require.Equal(t, sender, own.Recipients[0].Party)
	require.False(t, own.SentBy(sender))
	_, is := own.RecipientFor(sender)
	require.True(t, is)

	asSender := toItself.For(sender, []Role{RoleSender})
	require.Equal(t, RoleRecipient, asSender.Withheld)
	require.Len(t, asSender.Recipients, 2)
	require.True(t, asSender.SentBy(sender))
	_, is = asSender.RecipientFor(sender)
	require.False(t, is)

	require.Equal(t, RoleRecipient, v.For(recipient, []Role{RoleSender}).Withheld)
	require.Empty(t, v.For(recipient, []Role{RoleRecipient}).Withheld)
	require.Empty(t, v.For(stranger, nil).Withheld)
}

func TestView_KnowsItsParties(t *testing.T) {
	t.Parallel()
	v := seenBySender(TransferPublished)
	require.True(t, v.SentBy(sender))
	require.False(t, v.SentBy(recipient))
	for party, roles := range map[Party][]Role{sender: {RoleSender}, recipient: {RoleRecipient}, another: {RoleRecipient}, stranger: nil} {
		for _, as := range []Role{RoleSender, RoleRecipient} {
			require.Equal(t, len(roles) > 0 && roles[0] == as, v.HasParty(party, as), "%s as %s", party, as)
		}
		require.Equal(t, len(roles) > 0, v.VisibleTo(party), party)
	}
	r, is := v.RecipientFor(another)
	require.True(t, is)
	require.Equal(t, another, r.Party)
	_, is = v.RecipientFor(sender)
	require.False(t, is)
	v.Withheld = RoleRecipient
	require.False(t, v.VisibleTo(recipient))
	require.True(t, v.VisibleTo(sender))
}

func TestRecipientView_FollowsFromItsFacts(t *testing.T) {
	t.Parallel()
	created, first, confirmed := time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0)
	r := RecipientView{Recipient: Recipient{Created: created}}
	require.Equal(t, RecipientInitialized, r.Status())
	require.Equal(t, created, r.Changed())
	r.FirstAccess = &first
	require.Equal(t, RecipientDownloadStarted, r.Status())
	require.Equal(t, first, r.Changed())
	r.Confirmed = &confirmed
	require.Equal(t, RecipientDownloadConfirmed, r.Status())
	require.Equal(t, confirmed, r.Changed())
}

func TestRecipientHistory_IsInTheOrderInWhichStepsWereTaken(t *testing.T) {
	t.Parallel()
	at := func(n int64) *time.Time { v := time.Unix(n, 0); return &v }
	v := TransferView{Recipients: []RecipientView{
		{Recipient: Recipient{AsGiven: "a", Created: *at(1), Confirmed: at(9)}, FirstAccess: at(4)},
		{Recipient: Recipient{AsGiven: "b", Created: *at(1)}, FirstAccess: at(3)},
	}}
	require.Equal(t, []RecipientChange{
		{"a", RecipientInitialized, *at(1)},
		{"b", RecipientInitialized, *at(1)},
		{"b", RecipientDownloadStarted, *at(3)},
		{"a", RecipientDownloadStarted, *at(4)},
		{"a", RecipientDownloadConfirmed, *at(9)},
	}, v.RecipientHistory())
}

func TestView_TellsTheStoredTextOfTheStoredStatusOnly(t *testing.T) {
	t.Parallel()
	v := seenBySender(TransferFailed)
	require.Equal(t, "Upload failed", v.CurrentText())
	v.StatusText = FaultChecksum
	require.Equal(t, FaultChecksum, v.CurrentText())
	v.EffectiveStatus = TransferUploadStarted
	require.Equal(t, "Upload started", v.CurrentText())
}

func TestTransfer_KnowsItsContent(t *testing.T) {
	t.Parallel()
	tr := Transfer{ContentKey: "k", ContentGeneration: 2, ContentSize: 3, ContentMD5: "m", ContentSHA256: "s", ContentCRC32C: 7}
	require.Equal(t, Content{Key: "k", Generation: 2, Size: 3, MD5: "m", SHA256: "s", CRC32C: 7}, tr.Content())
	require.Equal(t, []Hash{HashMD5}, tr.LeftOut())
	tr.ComputeMD5 = true
	require.Empty(t, tr.LeftOut())
	crc := uint32(7)
	require.Equal(t, Content{Key: "k", Generation: 2, Size: 3, CRC32C: 7}, StoredObject{Generation: 2, Size: 3, CRC32C: &crc}.Content("k"))
	require.Equal(t, Content{Key: "k", Size: 3}, StoredObject{Size: 3}.Content("k"))
	require.Len(t, ReferenceDigest("r"), 32)
	require.NotEqual(t, ReferenceDigest("r"), ReferenceDigest("s"))
}

func TestFaults_HaveAnErrorAndAReasonEach(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]struct {
		err       *Error
		reason    string
		ofContent bool
	}{
		FaultChecksum: {ErrChecksumMismatch, "checksummismatch", true},
		FaultSize:     {ErrFileTooLarge, "filetoolarge", true},
		FaultStored:   {ErrStoredDiffers, "storedfilediffers", true},
		FaultNoUpload: {ErrStoredDiffers, "noupload", false},
	} {
		require.ErrorIs(t, ContentFault(text), c.err, text)
		require.Equal(t, c.reason, FailureReason(text))
		require.Equal(t, c.ofContent, IsContentFault(text), text)
	}
	require.Empty(t, FailureReason("other"))
}

func TestSearch_IsNarrowedToTheRolesInWhichSomebodyMayLook(t *testing.T) {
	t.Parallel()
	confirmed := RecipientDownloadConfirmed
	both := []Role{RoleSender, RoleRecipient}
	for name, c := range map[string]struct {
		asked Search
		roles []Role
		role  Role
		err   error
	}{
		"any of both":               {Search{}, both, "", nil},
		"any of one":                {Search{}, []Role{RoleRecipient}, RoleRecipient, nil},
		"its own":                   {Search{Role: RoleSender}, []Role{RoleSender}, RoleSender, nil},
		"another":                   {Search{Role: RoleSender}, []Role{RoleRecipient}, RoleSender, ErrNoAccess},
		"status of a recipient":     {Search{RecipientStatus: &confirmed}, both, "", nil},
		"the same, for who sends":   {Search{RecipientStatus: &confirmed}, []Role{RoleSender}, "", ErrNoAccess},
		"the same, whatever role":   {Search{Role: RoleSender, RecipientStatus: &confirmed}, []Role{RoleRecipient}, RoleSender, nil},
		"the same, with wrong role": {Search{Role: RoleSender, RecipientStatus: &confirmed}, []Role{RoleSender}, RoleSender, ErrNoAccess},
	} {
		got, err := c.asked.Within(c.roles)
		require.Equal(t, c.err, err, name)
		require.Equal(t, c.role, got.Role, name)
	}
}

func TestTimelinePlace_PassesWhatWasRead(t *testing.T) {
	t.Parallel()
	one, two := time.Unix(1, 0), time.Unix(2, 0)
	var p TimelinePlace
	p = p.Behind([]TimelineEntry{{At: one}, {At: two}, {At: two}})
	require.Equal(t, TimelinePlace{two, 2}, p)
	require.Equal(t, TimelinePlace{two, 3}, p.Behind([]TimelineEntry{{At: two}}), "a page that goes on in the same moment")
	require.Equal(t, p, p.Behind(nil))
	require.Len(t, TimelineKinds(), 8)
	require.Equal(t, TimelineUpload, TimelineKinds()[0])
}

func TestStatuses_HaveANameAndATextEach(t *testing.T) {
	t.Parallel()
	for _, s := range allStatuses {
		got, err := ParseTransferStatus(s.String())
		require.NoError(t, err)
		require.Equal(t, s, got)
		require.NotContains(t, s.Text(), "unknown")
	}
	require.Equal(t, "Recipient has downloaded fileTransfer", RecipientDownloadConfirmed.Text())
	require.Equal(t, "unknown status 9", TransferStatus(9).String())
}
