package api_test

import "github.com/formidling/formidling/api/apitest"

// Who acts in the tests, and where.
const (
	alice   = apitest.Alice
	base    = apitest.Base
	bob     = apitest.Bob
	carol   = apitest.Carol
	mallory = apitest.Mallory
	owner   = apitest.Owner
	svc     = apitest.Service
)
