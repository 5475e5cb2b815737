package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/go-jose/go-jose/v4"

	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/receipts"
	"github.com/formidling/formidling/store"
)

// verifyLog compares the log with receipts and audit, checks every receipt, computes the log anew, and compares it with
// what was signed. kept names a file with a checkpoint from elsewhere, or nothing.
func verifyLog(ctx context.Context, s *store.Store, c config, kept string) (leaves int64, err error) {
	var keys *receipts.Keys
	var published *jose.JSONWebKeySet
	if c.ReceiptKeys != "" {
		if keys, err = receipts.OpenKeys(c.ReceiptKeys); err != nil {
			return 0, err
		}
		set := keys.KeySet()
		published = &set
	}
	if err := s.VerifyLog(ctx, receipts.CheckChain(published)); err != nil {
		return 0, err
	}
	last := models.LogCheckpoint{}
	states := func(after int64) ([]models.LogCheckpoint, error) {
		page, err := s.CheckpointsAfter(ctx, after, 1000)
		for _, at := range page {
			if err == nil && keys != nil {
				err = checkSigned(keys, at)
			}
			last = at
		}
		return page, err
	}
	if leaves, err = receipts.Rebuild(ctx, s, states); err != nil {
		return leaves, err
	}
	if kept == "" {
		return leaves, nil
	}
	return leaves, compareKept(ctx, s, keys, kept, last)
}

func checkSigned(keys *receipts.Keys, at models.LogCheckpoint) error {
	tree, err := receipts.OpenCheckpoint(keys.KeySet(), at.Note)
	if err != nil {
		return fmt.Errorf("the checkpoint of %d leaves is not valid: %w", at.Size, err)
	}
	if tree.N != at.Size || tree.Hash.String() != at.Root {
		return fmt.Errorf("the checkpoint of %d leaves says something else than was signed", at.Size)
	}
	return nil
}

// compareKept checks that a checkpoint from elsewhere is a state of this log.
func compareKept(ctx context.Context, s *store.Store, keys *receipts.Keys, file string, last models.LogCheckpoint) error {
	raw, err := os.ReadFile(file) //nolint:gosec // the user named it
	if err != nil {
		return err
	}
	if keys == nil {
		return errors.New("--checkpoint needs FORMIDLING_RECEIPT_KEYS")
	}
	tree, err := receipts.OpenCheckpoint(keys.KeySet(), string(raw))
	if err != nil {
		return fmt.Errorf("the checkpoint in %s is not valid: %w", file, err)
	}
	if tree.N > last.Size {
		return fmt.Errorf("the log was cut: its last checkpoint has %d leaves, the one in %s has %d", last.Size, file, tree.N)
	}
	_, err = receipts.Rebuild(ctx, s, func(after int64) ([]models.LogCheckpoint, error) {
		if after >= tree.N {
			return nil, nil
		}
		return []models.LogCheckpoint{{Size: tree.N, Root: tree.Hash.String()}}, nil
	})
	return err
}
