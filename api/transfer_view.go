package api

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/formidling/formidling/models"
)

// sight reads transfers as callers may see them.
type sight struct {
	views  Views
	rights Rights
}

// Look reads a transfer as the caller may see it: models.ErrTransferNotFound for who is no party, and for a supplier
// of a party to which nothing was delegated in the transfer's service.
func (s sight) Look(ctx context.Context, id uuid.UUID, by models.Caller) (models.TransferView, error) {
	v, err := s.views.TransferFor(ctx, id, by.Party)
	return s.show(ctx, v, by, err)
}

// show hides a transfer from suppliers that may not look at it in the role that their principal has in it, and of one in
// which it has both roles what belongs to the other.
func (s sight) show(ctx context.Context, v models.TransferView, by models.Caller, err error) (models.TransferView, error) {
	var roles []models.Role
	if err == nil {
		roles, err = s.rights.LookAs(ctx, v.ResourceID, by)
	}
	if err == nil && !slices.ContainsFunc(roles, func(r models.Role) bool { return v.HasParty(by.Party, r) }) {
		err = models.ErrTransferNotFound
	}
	v = v.For(by.Party, roles)
	if e, refused := models.AsError(err); refused && !e.Retryable() && !errors.Is(err, models.ErrTransferNotFound) {
		err = models.ErrTransferNotFound
	}
	return v, err
}
