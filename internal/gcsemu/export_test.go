package gcsemu

import "time"

// SetClock replaces the clock; not while requests are served.
func (s *Server) SetClock(now func() time.Time) { s.now = now }
