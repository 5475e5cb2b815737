package cli

import (
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/client"
)

func (c *Commands) inbox() *cobra.Command {
	settings := c.config()
	var follow bool
	cmd := &cobra.Command{
		Use: "inbox --service ID", Short: "List the transfers that wait for you",
		Long: "Lists the transfers of a service that you may download and have not confirmed: id, sender, size, when it was\n" +
			"published, and name. With --follow it then tells of each one that comes.",
		Example: "  formidling inbox --service my-service\n  formidling inbox --service my-service --follow --json",
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on, and tell of each transfer that comes")
	return finish(cmd, settings, cobra.NoArgs, func(u *user, _ []string) error {
		for t, err := range u.waiting(follow) {
			if err != nil {
				return err
			}
			if err := u.entry(t); err != nil {
				return err
			}
		}
		return nil
	})
}

// waiting lists the inbox of the service that the settings name.
func (u *user) waiting(follow bool) iter.Seq2[client.FileTransferOverview, error] {
	if err := u.needService(); err != nil {
		return func(yield func(client.FileTransferOverview, error) bool) { yield(client.FileTransferOverview{}, err) }
	}
	if follow {
		return u.broker.FollowInbox(u.ctx, u.Service)
	}
	return u.broker.Inbox(u.ctx, u.Service)
}

// entry prints a transfer.
func (u *user) entry(t client.FileTransferOverview) error {
	if u.json {
		return u.document(newEntry(t))
	}
	_, err := fmt.Fprintln(u.out, line(t))
	return err
}
