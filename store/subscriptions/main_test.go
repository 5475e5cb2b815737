package subscriptions_test

import (
	"testing"

	"github.com/formidling/formidling/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
