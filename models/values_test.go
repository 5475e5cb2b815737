package models

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseDuration_ReadsISO8601(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"P30D": 30 * day, "PT2H": 2 * time.Hour, "PT0S": 0, "P1DT12H": 36 * time.Hour, "P1W": 7 * day, "P1Y": 365 * day, "P1M": 30 * day,
		"PT1M": time.Minute, "PT1.5S": 1500 * time.Millisecond, "-P1D": -day, "P0D": 0,
	} {
		got, err := ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, bad := range []string{"", "P", "-P", "PT", "P1", "30", "1D", "PD", "P1H", "PT1D", "P1.5D", "P1DT", "p1d", "P 1D", "P-1D", "P999999999Y", "PT1S ", "P1D\n"} {
		_, err := ParseDuration(bad)
		require.Error(t, err, "%q", bad)
	}
}

func TestFormatDuration_IsDotNetsForm(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		30 * day: "30.00:00:00", 2 * time.Hour: "02:00:00", 0: "00:00:00", -time.Second: "-00:00:01",
		36*time.Hour + 1500*time.Millisecond: "1.12:00:01.5000000",
	} {
		require.Equal(t, want, FormatDuration(d))
	}
}

func TestParseParty_GivesOneSpelling(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Party{
		"0192:910753614": "0192:910753614", "9908:910753614": "0192:910753614",
		"urn:altinn:organization:identifier-no:910753614": "0192:910753614",
		"0060:910753614": "0060:910753614", // a foreign number stays one
	} {
		got, err := ParseParty(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"", "910753614", "0192:91075361", "0192:9107536145", "192:910753614", "0192:91075361a", " 0192:910753614", "0192:910753614\n", "0192-910753614", "URN:altinn:organization:identifier-no:910753614"} {
		_, err := ParseParty(bad)
		require.Error(t, err, "%q", bad)
	}
	require.Equal(t, "urn:altinn:organization:identifier-no:910753614", Party("0192:910753614").URN())
	require.Equal(t, "0060:910753614", Party("0060:910753614").URN())
}

func TestIdempotentID_BelongsToSenderAndKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sender := Party(rapid.StringMatching(`0192:[0-9]{9}`).Draw(t, "sender"))
		one := rapid.StringMatching(`[!-~]{1,255}`).Draw(t, "one")
		two := rapid.StringMatching(`[!-~]{1,255}`).Draw(t, "two")
		require.NoError(t, CheckIdempotencyKey(one))
		require.Equal(t, one == two, IdempotentID(sender, one) == IdempotentID(sender, two))
		require.NotEqual(t, IdempotentID(sender, one), IdempotentID(sender+"0", one))
	})
	for _, bad := range []string{"", " ", "a b", "æ", strings.Repeat("x", 256), "a\n"} {
		require.Error(t, CheckIdempotencyKey(bad))
	}
}

func draft() Draft {
	return Draft{FileName: "a", ResourceID: "r", SendersReference: "s", Sender: "0192:910753614", Recipients: []string{"0192:910753615"}}
}

func TestNewSubmission_HashesWhatWasAsked(t *testing.T) {
	t.Parallel()
	one, err := NewSubmission(draft(), 10)
	require.NoError(t, err)
	same, err := NewSubmission(draft(), 10)
	require.NoError(t, err)
	require.Equal(t, one.RequestHash, same.RequestHash)
	d := draft()
	d.PropertyList = map[string]string{"a": "b"}
	other, err := NewSubmission(d, 10)
	require.NoError(t, err)
	require.NotEqual(t, one.RequestHash, other.RequestHash)
}

func TestNewSubmission_TellsAllThatIsWrongAtOnce(t *testing.T) {
	t.Parallel()
	_, err := NewSubmission(Draft{}, 10)
	e, ok := AsError(err)
	require.True(t, ok)
	require.Len(t, e.Fields, 5)
	require.Equal(t, KindInvalid, e.Kind)
}

func TestGroups_CoverEveryRecipientOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1000).Draw(t, "n")
		members := map[int]int{}
		for i := range n {
			members[GroupOf(i, n)]++
		}
		if Groups(n) == 0 {
			require.Equal(t, map[int]int{0: n}, members)
			return
		}
		require.Len(t, members, Groups(n))
		for _, size := range members {
			require.LessOrEqual(t, size, GroupSize)
		}
	})
}

func TestErrors_KeepTheirCodeWithDetails(t *testing.T) {
	t.Parallel()
	e := ErrFileTooLarge.Exceeded(1, 2).Because("It has %d bytes.", 2)
	require.ErrorIs(t, e, ErrFileTooLarge)
	require.NotErrorIs(t, e, ErrNoAccess)
	require.Equal(t, "File size exceeds maximum It has 2 bytes.", e.Message)
	require.Nil(t, ErrFileTooLarge.Limit, "the catalogue is not changed")
	require.True(t, ErrUnavailable.Retryable())
	require.False(t, ErrNoAccess.Retryable())
	require.NoError(t, Invalid(nil))
}

func TestObjectKeys_AreUniquePerAttempt(t *testing.T) {
	t.Parallel()
	transfer := uuid.New()
	one, two := AttemptKey(transfer, uuid.New()), AttemptKey(transfer, uuid.New())
	require.NotEqual(t, one, two)
	require.True(t, strings.HasPrefix(AttemptKey(transfer, uuid.New()), TransferPrefix(transfer)+"/"))
}
