package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/formidling/formidling/models"
)

// Unavailable adds what was being done to an error, and models.ErrUnavailable when the database
// could not be reached or could not serve: then the same call may succeed later.
func Unavailable(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, known := models.AsError(err); !known && isOutage(err) {
		return fmt.Errorf("%s: %w: %w", what, models.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func isOutage(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), pgconn.SafeToRetry(err):
		return true
	case errors.As(err, &pg):
		return outageCode(pg.Code)
	}
	for _, passing := range []string{"SQLITE_BUSY", "database is locked", "database or disk is full"} {
		if strings.Contains(err.Error(), passing) {
			return true
		}
	}
	return false
}

// outageCode knows the classes of SQLSTATE that pass: connection, resources, operator, deadlock and
// serialization (PostgreSQL, appendix A).
func outageCode(code string) bool {
	for _, class := range []string{"08", "53", "57P", "40001", "40P01"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// Absent makes GORM's not-found error one of ours.
func Absent(err error, ours *models.Error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return ours
	}
	return err
}
