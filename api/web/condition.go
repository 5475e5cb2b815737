package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/models"
)

// Entry answers with an entry of the registry, and its version for the next change.
func Entry(c *gin.Context, status int, version int64, body any) {
	c.Header("ETag", Tag(version))
	c.JSON(status, body)
}

// PutStatus tells what was made from what was changed.
func PutStatus(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}

// Tag is a version as an ETag.
func Tag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// Condition reads If-Match and If-None-Match. One strong tag of ours, or *, is all that makes sense here.
func Condition(match, absent *string) (models.Condition, error) {
	var out models.Condition
	if absent != nil {
		if strings.TrimSpace(*absent) != "*" {
			return out, models.InvalidField("If-None-Match", "If-None-Match must be * here: only if there is nothing yet.")
		}
		out.Absent = true
	}
	if match == nil {
		return out, nil
	}
	var err error
	out.Version, out.Exists, err = Matching("If-Match", *match)
	return out, err
}

// Matching reads the version that a field names, or that any will do.
func Matching(field, given string) (version int64, any bool, err error) {
	given = strings.TrimSpace(given)
	if given == "*" {
		return 0, true, nil
	}
	number, opened := strings.CutPrefix(given, `"`)
	number, closed := strings.CutSuffix(number, `"`)
	version, err = strconv.ParseInt(number, 10, 64)
	if err != nil || !opened || !closed || version < 1 {
		return 0, false, models.InvalidField(field, field+" must be one ETag as it was read, such as \"17\", or *.")
	}
	return version, false, nil
}
