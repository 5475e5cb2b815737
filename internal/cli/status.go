package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/formidling/formidling/client"
)

func (c *Commands) status() *cobra.Command {
	settings := c.config()
	var watch bool
	var until string
	cmd := &cobra.Command{
		Use: "status ID", Short: "Tell how far a transfer has come",
		Long: "Prints the state of a transfer and of its recipients. With --watch it prints each change, until every recipient\n" +
			"has confirmed, or what --until says; a transfer that ends before that is exit code 8.",
		Example: "  formidling status 3fa85f64-5717-4562-b3fc-2c963f66afa6\n  formidling status 3fa85f64-5717-4562-b3fc-2c963f66afa6 --watch --until published",
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "follow it, and print each change")
	cmd.Flags().StringVar(&until, "until", "confirmed", "what --watch waits for: published, confirmed or ended")
	cmd.ValidArgsFunction = completeIDs(settings, client.ScopeWrite)
	return finish(cmd, settings, cobra.ExactArgs(1), func(u *user, args []string) error {
		id, err := parseID(args[0])
		if err != nil {
			return err
		}
		if !watch {
			t, err := u.broker.Overview(u.ctx, id)
			if err != nil {
				return err
			}
			return u.state(t)
		}
		condition, known := conditions[until]
		if !known {
			return usageError{fmt.Errorf("--until %q: it must be published, confirmed or ended", until)}
		}
		return u.follow(id, condition)
	})
}

var conditions = map[string]func(client.FileTransferOverview) bool{
	"published": client.UntilPublished, "confirmed": client.UntilConfirmed, "ended": nil,
}

func (u *user) follow(id client.FileTransferID, until func(client.FileTransferOverview) bool) error {
	var failed error
	_, err := u.broker.Watch(u.ctx, id, client.WatchOptions{Until: until, Changed: func(t client.FileTransferOverview) {
		if err := u.state(t); err != nil && failed == nil {
			failed = err
		}
	}})
	if err == nil {
		err = failed
	}
	return err
}

// state prints a transfer and its recipients.
func (u *user) state(t client.FileTransferOverview) error {
	if u.json {
		return u.document(t)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s  %s  %s\n", t.FileTransferID, t.FileTransferStatus, bytesText(t.FileTransferSize), t.FileTransferStatusChanged.Local().Format(time.DateTime), visible(t.FileName))
	for _, r := range t.Recipients {
		fmt.Fprintf(&b, "  %s  %s  %s\n", visible(r.Recipient), r.CurrentRecipientFileTransferStatusCode, r.CurrentRecipientFileTransferStatusChanged.Local().Format(time.DateTime))
	}
	_, err := fmt.Fprint(u.out, b.String())
	return err
}

// completionTime is how long a shell waits for ids.
const completionTime = 2 * time.Second

// completeIDs offers the ids of transfers to the shell: those that wait for the caller, or those that it sent last.
func completeIDs(c *config, scope string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if c.Service == "" || c.URL == "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c.retryFor, c.quiet = -1, true
		broker, err := c.connect(newDisplay(cmd.ErrOrStderr(), true))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		var found []cobra.Completion
		if scope == client.ScopeRead {
			for t, err := range broker.Inbox(ctx, c.Service) {
				if err != nil || len(found) == 20 {
					break
				}
				found = append(found, cobra.CompletionWithDesc(t.FileTransferID.String(), visible(t.FileName)+" from "+visible(t.Sender)))
			}
			return found, cobra.ShellCompDirectiveNoFileComp
		}
		role, limit := "Sender", 20
		for id, err := range broker.Search(ctx, client.SearchFileTransfersParams{ResourceID: c.Service, Role: &role, Limit: &limit}) {
			if err != nil || len(found) == limit {
				break
			}
			found = append(found, id.String())
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
