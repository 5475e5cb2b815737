package api_test

import (
	"time"

	"github.com/formidling/formidling/api/apitest"
)

// Patience for a stall, and for a slow client, who must not be taken for one on a machine that is busy.
const (
	shortPatience = time.Second
	longPatience  = 4 * time.Second
)

func uploadPatience(d time.Duration) func(*apitest.Config) {
	return func(s *apitest.Config) { s.UploadPatience = d }
}

func downloadPatience(d time.Duration) func(*apitest.Config) {
	return func(s *apitest.Config) { s.DownloadPatience = d }
}
