package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/formidling/formidling/models"
)

// What operators search for in the Temporal UI. Only organisation numbers, service ids and statuses:
// search attributes are never encrypted.
var (
	attributeSender     = temporal.NewSearchAttributeKeyKeyword("FormidlingSender")
	attributeResource   = temporal.NewSearchAttributeKeyKeyword("FormidlingResource")
	attributeStatus     = temporal.NewSearchAttributeKeyKeyword("FormidlingStatus")
	attributeRecipients = temporal.NewSearchAttributeKeyKeywordList("FormidlingRecipients")
)

// statusRefused is shown for a submission that never became a transfer.
const statusRefused = "Refused"

func groupAttributes(s models.Submission, members []models.Addressee) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(
		attributeSender.ValueSet(string(s.Sender.Party)),
		attributeResource.ValueSet(s.ResourceID),
		attributeRecipients.ValueSet(numbers(members)),
	)
}

func numbers(list []models.Addressee) []string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = string(r.Party)
	}
	return out
}

// show writes the new status for operators. It costs an event and an update of the visibility store, so it
// is called for the few statuses that an operator searches for.
func (t *transfer) show(ctx workflow.Context) error {
	t.describe(ctx)
	return workflow.UpsertTypedSearchAttributes(ctx, attributeStatus.ValueSet(t.result().Status))
}

// describe writes the story so far for the UI, in Markdown; it costs no event.
// No file name, reference or property ever stands here.
func (t *transfer) describe(ctx workflow.Context) {
	text := fmt.Sprintf("**%s** since %s\n\nService `%s`, from `%s` to %d recipients\n",
		t.result().Status, workflow.Now(ctx).UTC().Format("2006-01-02 15:04:05 MST"), t.sub.ResourceID, t.sub.Sender.Party, len(t.sub.Recipients))
	if t.result().Text != "" {
		text += "\n" + t.result().Text + "\n"
	}
	if t.state.Attempt != noAttempt {
		text += fmt.Sprintf("\nThe file has %d bytes. ", t.state.Size)
	}
	if t.groups() > 0 {
		text += fmt.Sprintf("%d delivery groups look after its recipients.\n", t.groups())
		workflow.SetCurrentDetails(ctx, text)
		return
	}
	text += "\n\n| recipient | confirmed |\n|---|---|\n"
	for _, r := range t.sub.Recipients {
		mark := "not yet"
		if t.confirmed[r.Party] {
			mark = "yes"
		}
		text += fmt.Sprintf("| `%s` | %s |\n", r.Party, mark)
	}
	workflow.SetCurrentDetails(ctx, text)
}
