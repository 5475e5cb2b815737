package models

// Condition is what a caller requires of what is stored before it may be changed (RFC 9110, section 13.1).
// The zero value is no condition: fine for what is made, too little for what is changed.
type Condition struct {
	Version       int64 // If-Match with this version; 0: none
	Exists        bool  // If-Match: *
	Absent        bool  // If-None-Match: *
	Unconditional bool  // on Altinn's paths, whose clients send no conditions
}

// Check compares the condition with the version that is stored; 0 when nothing is.
// ErrPreconditionRequired when something would be changed blindly, ErrPreconditionFailed when it is not as required.
func (c Condition) Check(stored int64) error {
	switch {
	case c.Version != 0 && stored != c.Version, c.Exists && stored == 0, c.Absent && stored != 0:
		return ErrPreconditionFailed
	case stored != 0 && c.Version == 0 && !c.Exists && !c.Unconditional:
		return ErrPreconditionRequired
	}
	return nil
}
