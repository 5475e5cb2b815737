package settings_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/internal/settings"
)

type config struct {
	place string
	count int
	size  int64
	wait  time.Duration
	names []string
	on    bool
}

var table = settings.Table[config]{
	{Name: "FORMIDLING_PLACE", Alias: "PLACE", Default: "here", Set: settings.Text(func(c *config) *string { return &c.place })},
	{Name: "FORMIDLING_COUNT", Set: settings.Count(func(c *config) *int { return &c.count })},
	{Name: "FORMIDLING_SIZE", Set: settings.Bytes(func(c *config) *int64 { return &c.size })},
	{Name: "FORMIDLING_WAIT", Set: settings.Duration(func(c *config) *time.Duration { return &c.wait })},
	{Name: "FORMIDLING_NAMES", Set: settings.List(func(c *config) *[]string { return &c.names })},
	{Name: "FORMIDLING_ON", Default: "no", Set: settings.Switch(func(c *config) *bool { return &c.on })},
}

func read(environ ...string) (config, error) {
	var c config
	err := table.Read(&c, environ)
	return c, err
}

func TestTable_ReadsEveryKindOfValue(t *testing.T) {
	t.Parallel()
	c, err := read("FORMIDLING_PLACE=a=b", "FORMIDLING_COUNT=3", "FORMIDLING_SIZE=0", "FORMIDLING_WAIT=PT2M", "FORMIDLING_NAMES=x, y", "FORMIDLING_ON=yes")
	require.NoError(t, err)
	require.Equal(t, config{"a=b", 3, 0, 2 * time.Minute, []string{"x", "y"}, true}, c)
	c, err = read("FORMIDLING_PLACE=")
	require.NoError(t, err)
	require.Equal(t, config{place: "here"}, c, "an empty value is not given")
}

func TestTable_TakesTheOlderNameToo(t *testing.T) {
	t.Parallel()
	for name, environ := range map[string][]string{
		"the older": {"PLACE=there"}, "the newer": {"FORMIDLING_PLACE=there"}, "both, the same": {"PLACE=there", "FORMIDLING_PLACE=there"},
		"one empty": {"PLACE=there", "FORMIDLING_PLACE="}, "the other empty": {"PLACE=", "FORMIDLING_PLACE=there"},
	} {
		c, err := read(environ...)
		require.NoError(t, err, name)
		require.Equal(t, "there", c.place, name)
	}
	_, err := read("PLACE=secret", "FORMIDLING_PLACE=other")
	require.ErrorContains(t, err, "FORMIDLING_PLACE and PLACE differ")
	require.NotContains(t, err.Error(), "secret")
}

func TestSwitch_TakesTheUsualWordsInAnyCase(t *testing.T) {
	t.Parallel()
	for word, on := range map[string]bool{
		"true": true, "yes": true, "on": true, "1": true, "True": true, "YES": true, "On": true,
		"false": false, "no": false, "off": false, "0": false, "FALSE": false, "No": false, "oFF": false,
	} {
		c := config{on: !on}
		require.NoError(t, table.Read(&c, []string{"FORMIDLING_ON=" + word}), word)
		require.Equal(t, on, c.on, word)
	}
	_, err := read("FORMIDLING_ON=maybe")
	require.EqualError(t, err, `FORMIDLING_ON="maybe": it must be true, yes, on or 1, or false, no, off or 0`)
}

func TestTable_NamesEveryMistakeAndWhatItWouldTake(t *testing.T) {
	t.Parallel()
	_, err := read("FORMIDLING_COUNT=0", "FORMIDLING_SIZE=-1", "FORMIDLING_WAIT=2m", "FORMIDLING_NAMES=a,,b")
	for _, part := range []string{
		`FORMIDLING_COUNT="0": it must be a whole number, at least 1`, `FORMIDLING_SIZE="-1": it must be a number of bytes`,
		`FORMIDLING_WAIT="2m": it must be an ISO 8601 duration`, `FORMIDLING_NAMES="a,,b": it must be values separated by commas`,
	} {
		require.ErrorContains(t, err, part)
	}
}

func TestCheckNames_SaysWhatWasMeant(t *testing.T) {
	t.Parallel()
	require.NoError(t, settings.CheckNames([]string{"FORMIDLING_SIZE=1", "PLACE=x", "PATH=/bin"}, table.Names()))
	err := settings.CheckNames([]string{"FORMIDLING_SIZ=1", "FORMIDLING_PLAICE=x"}, table.Names())
	require.ErrorContains(t, err, "FORMIDLING_SIZ is not a setting; did you mean FORMIDLING_SIZE?")
	require.ErrorContains(t, err, "FORMIDLING_PLAICE is not a setting; did you mean FORMIDLING_PLACE?")
	require.NotContains(t, settings.CheckNames([]string{"FORMIDLING_NOTHING_LIKE_IT=1"}, table.Names()).Error(), "did you mean")
}
