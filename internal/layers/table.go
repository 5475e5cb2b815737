package layers

// Room is a package, and what its files may import besides the standard library.
type Room struct {
	// Dir is the package's folder, from the root of the module.
	Dir string
	// Ours are the rooms that it may import, each above it in the table.
	Ours []string
	// Foreign are the modules of others that it may import, or the packages where a module is too wide.
	Foreign []string
	// NotStd are the packages of the standard library that it may not import.
	NotStd []string
	// TestsOurs and TestsForeign are what its test files may import in addition.
	TestsOurs, TestsForeign []string
}

// Modules and packages of others, by the names that we call them.
const (
	uuid      = "github.com/google/uuid"
	jose      = "github.com/go-jose/go-jose/v4"
	gin       = "github.com/gin-gonic/gin"
	gorm      = "gorm.io"
	goose     = "github.com/pressly/goose/v3"
	pgx       = "github.com/jackc/pgx/v5"
	sqlite    = "modernc.org/sqlite"
	sqliteORM = "github.com/libtnb/sqlite"
	cloud     = "cloud.google.com"
	googleAPI = "google.golang.org/api"
	gax       = "github.com/googleapis/gax-go/v2"
	protobuf  = "google.golang.org/protobuf"
	temporal  = "go.temporal.io"
	tlog      = "golang.org/x/mod/sumdb"
	xsync     = "golang.org/x/sync"
	xsys      = "golang.org/x/sys/unix"
	cobra     = "github.com/spf13/cobra"
	testify   = "github.com/stretchr/testify"
	rapid     = "pgregory.net/rapid"
	openapi   = "github.com/pb33f/libopenapi" // and its validator, whose name begins with it
	runtime   = "github.com/oapi-codegen/runtime"
)

// testLibraries are what every test may import.
var testLibraries = []string{testify, rapid}

// outside is what has no place where decisions are taken: the language of the domain, and workflows, which are
// executed again from their history.
var outside = []string{"database/sql", "net", "net/http", "os", "os/exec", "os/signal", "syscall"}

// Rooms is the table. A room stands below all that it may import.
var Rooms = []Room{
	{Dir: "models", Foreign: []string{uuid}, NotStd: outside},
	{Dir: "internal/crc32c"},
	{Dir: "internal/semaphore"},
	{Dir: "internal/settings", Ours: []string{"models"}},
	{Dir: "internal/docs"},
	{Dir: "internal/layers"},
	{Dir: "internal/layers/plant", Ours: []string{"internal/layers"}},
	{Dir: "internal/mutants"},
	{Dir: "internal/testenv", Foreign: []string{pgx, testify}},
	{Dir: "internal/testenv/badlink", Foreign: []string{"github.com/Shopify/toxiproxy/v2", "github.com/rs/zerolog", testify}},
	{Dir: "internal/gcsemu", Ours: []string{"internal/crc32c"}, Foreign: []string{xsys}, TestsForeign: []string{cloud, googleAPI}},
	{Dir: "internal/gcsemu/cmd/gcsemu", Ours: []string{"internal/gcsemu"}, TestsForeign: []string{cloud, googleAPI}},
	{Dir: "internal/devtemporal"},
	{Dir: "deploy/probe"},

	{Dir: "identity/testpki", Ours: []string{"models"}},
	{Dir: "identity", Ours: []string{"models"}, Foreign: []string{jose, uuid}, TestsOurs: []string{"identity/testpki"}},
	{
		Dir: "objects", Ours: []string{"models", "internal/crc32c"}, Foreign: []string{cloud, googleAPI, gax, xsync, xsys},
		TestsOurs: []string{"internal/gcsemu"}, TestsForeign: []string{"github.com/fsouza/fake-gcs-server"},
	},
	{Dir: "webhook", Ours: []string{"models", "internal/semaphore"}, Foreign: []string{"code.dny.dev/ssrf"}, TestsForeign: []string{uuid}},
	{
		Dir: "receipts", Ours: []string{"models", "identity"}, Foreign: []string{jose, uuid, tlog},
		TestsOurs: []string{"identity/testpki", "internal/testenv", "objects", "store"},
	},

	{
		Dir: "store/db", Ours: []string{"models"}, Foreign: []string{gorm, goose, pgx, sqlite, sqliteORM, uuid},
		TestsOurs: storeTests,
	},
	{Dir: "store/feed", Ours: []string{"models", "store/db"}, Foreign: []string{gorm, pgx, uuid}, TestsOurs: storeTests},
	{
		Dir: "store/registry", Ours: []string{"models", "store/db", "store/feed"}, Foreign: []string{gorm, uuid},
		TestsOurs: storeTests,
	},
	{
		Dir: "store/receipts", Ours: []string{"models", "store/db", "store/feed", "store/registry"}, Foreign: []string{gorm, uuid},
		TestsOurs: storeTests,
	},
	{
		Dir: "store/transfers", Ours: []string{"models", "store/db", "store/feed", "store/registry", "store/receipts"},
		Foreign: []string{gorm, uuid}, TestsOurs: storeTests,
	},
	{Dir: "store/tus", Ours: belowTransfers, Foreign: []string{gorm, uuid}, TestsOurs: storeTests},
	{Dir: "store/subscriptions", Ours: belowTransfers, Foreign: []string{gorm, uuid}, TestsOurs: storeTests},
	{Dir: "store/reads", Ours: belowTransfers, Foreign: []string{gorm, uuid}, TestsOurs: storeTests},
	{Dir: "store", Ours: append([]string{"store/tus", "store/subscriptions", "store/reads"}, belowTransfers...)},
	{
		Dir: "store/storetest", Ours: []string{"models", "internal/testenv", "store", "store/db", "store/receipts"},
		Foreign: []string{uuid, testify},
	},

	{
		Dir: "activities", Ours: []string{"models"}, Foreign: []string{temporal + "/sdk/activity", temporal + "/sdk/temporal", uuid},
		TestsForeign: []string{temporal + "/sdk/testsuite"},
	},
	{
		Dir: "workflows", Ours: []string{"models", "activities"}, Foreign: []string{temporal, protobuf, uuid}, NotStd: outside,
		TestsOurs: []string{"internal/testenv", "objects", "receipts", "store", "webhook", "worker"},
	},
	{Dir: "worker", Ours: []string{"models", "activities", "workflows"}, Foreign: []string{temporal, xsync}},
	{Dir: "internal/replay", Ours: []string{"worker"}, Foreign: []string{temporal, protobuf}},

	{Dir: "api/contract", Foreign: []string{gin, runtime}},
	{Dir: "api/contract/accessgen", Foreign: []string{openapi}},
	{Dir: "api/web", Ours: []string{"models", "api/contract"}, Foreign: []string{gin, runtime}},
	{Dir: "api/bytepath", Ours: []string{"models", "internal/semaphore"}, Foreign: []string{gin}},
	{
		Dir: "api/registry", Ours: []string{"models", "identity", "api/contract", "api/web"}, Foreign: []string{gin, uuid},
		TestsOurs: []string{"api/apitest"},
	},
	{
		Dir: "api/events", Ours: []string{"models", "internal/semaphore", "api/contract", "api/web", "api/bytepath"}, Foreign: []string{gin, uuid},
		TestsOurs: []string{"api/apitest"},
	},
	{
		Dir: "api/receipts", Ours: []string{"models", "api/contract", "api/web"}, Foreign: []string{gin, jose, uuid},
		TestsOurs: []string{"api/apitest", "api/tus", "identity", "identity/testpki", "objects", "receipts", "store"},
	},
	{
		Dir: "api/tus", Ours: []string{"models", "api/contract", "api/web", "api/bytepath"}, Foreign: []string{gin, uuid, xsync},
		TestsOurs: []string{"api/apitest"},
	},
	{
		Dir: "api",
		Ours: []string{
			"models", "identity", "api/contract", "api/web", "api/bytepath", "api/registry", "api/events", "api/receipts", "api/tus",
		},
		Foreign:   []string{gin, jose, uuid, "github.com/swaggest/swgui"},
		TestsOurs: []string{"api/apitest", "identity/testpki", "store"}, TestsForeign: []string{"golang.org/x/net/http2"},
	},
	{
		Dir: "api/apitest",
		Ours: []string{
			"models", "identity", "objects", "webhook", "store", "activities", "api/contract", "api/events", "api/tus", "api",
		},
		Foreign: []string{openapi, uuid, testify},
	},

	{Dir: "client", Foreign: []string{jose, runtime, xsync, xsys}, TestsOurs: []string{"internal/testenv"}, TestsForeign: []string{uuid}},
	{Dir: "internal/plainclient", Ours: []string{"client"}},
	{Dir: "internal/demo", Ours: []string{"models", "identity/testpki", "internal/plainclient"}, Foreign: []string{cobra}},
	{
		Dir: "internal/cli", Ours: []string{"models", "internal/settings", "identity", "receipts", "client"},
		Foreign:   []string{cobra, "github.com/spf13/pflag", jose, uuid, xsys, "github.com/mattn/go-isatty", "github.com/vbauerster/mpb/v8"},
		TestsOurs: []string{"internal/testenv"},
	},
	{
		Dir: "cmd/formidling",
		Ours: []string{
			"models", "identity", "identity/testpki", "objects", "receipts", "webhook", "store", "activities", "workflows", "worker", "api",
			"internal/cli", "internal/demo", "internal/devtemporal", "internal/settings",
		},
		Foreign:      []string{cobra, jose, temporal, xsync},
		TestsOurs:    []string{"internal/plainclient", "internal/testenv", "internal/testenv/badlink"},
		TestsForeign: []string{pgx, protobuf, xsys},
	},
	{
		Dir: "bench",
		Ours: []string{
			"models", "identity", "identity/testpki", "objects", "receipts", "store", "activities", "api", "internal/testenv",
		},
		Foreign: []string{jose, temporal, uuid, xsync, xsys},
	},
}

// belowTransfers is what the rooms of the store that stand side by side may import; they do not see each other.
var belowTransfers = []string{"models", "store/db", "store/feed", "store/registry", "store/receipts", "store/transfers"}

// storeTests is what tests of the store's rooms may import: they fill a whole store and look at a part of it.
var storeTests = []string{"internal/testenv", "store", "store/db", "store/receipts", "store/storetest"}
