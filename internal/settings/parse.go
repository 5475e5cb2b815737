package settings

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/formidling/formidling/models"
)

// Text takes any value.
func Text[C any](field func(*C) *string) func(*C, string) error {
	return func(c *C, v string) error { *field(c) = v; return nil }
}

// Count takes a whole number from 1 on.
func Count[C any](field func(*C) *int) func(*C, string) error {
	return func(c *C, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return errors.New("it must be a whole number, at least 1")
		}
		*field(c) = n
		return nil
	}
}

// Bytes takes a number of bytes from 0 on.
func Bytes[C any](field func(*C) *int64) func(*C, string) error {
	return func(c *C, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return errors.New("it must be a number of bytes")
		}
		*field(c) = n
		return nil
	}
}

// Duration takes an ISO 8601 duration above zero.
func Duration[C any](field func(*C) *time.Duration) func(*C, string) error {
	return func(c *C, v string) error {
		d, err := models.ParseDuration(v)
		if err != nil || d <= 0 {
			return errors.New("it must be an ISO 8601 duration above zero, such as PT30S or P1D")
		}
		*field(c) = d
		return nil
	}
}

// List takes values separated by commas, none of them empty.
func List[C any](field func(*C) *[]string) func(*C, string) error {
	return func(c *C, v string) error {
		var values []string
		for one := range strings.SplitSeq(v, ",") {
			if one = strings.TrimSpace(one); one == "" {
				return errors.New("it must be values separated by commas")
			}
			values = append(values, one)
		}
		*field(c) = values
		return nil
	}
}

// Switch takes the usual words for on and off, in any case.
func Switch[C any](field func(*C) *bool) func(*C, string) error {
	return func(c *C, v string) error {
		switch strings.ToLower(v) {
		case "true", "yes", "on", "1":
			*field(c) = true
		case "false", "no", "off", "0":
			*field(c) = false
		default:
			return errors.New("it must be true, yes, on or 1, or false, no, off or 0")
		}
		return nil
	}
}
