package db_test

import (
	"errors"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm/schema"

	"github.com/formidling/formidling/internal/testenv"
	"github.com/formidling/formidling/models"
	"github.com/formidling/formidling/store"
	"github.com/formidling/formidling/store/db"
	"github.com/formidling/formidling/store/storetest"
)

// tables are what the models say the database has.
var tables = []any{
	models.ServiceOwner{},
	models.Resource{},
	models.Grant{},
	models.AccessList{},
	models.AccessListMember{},
	models.AccessListConnection{},
	models.Delegation{},
	models.AccessRequest{},
	models.Client{},
	models.CredentialLock{},
	models.AuditEntry{},
	models.Transfer{},
	models.Recipient{},
	models.StatusChange{},
	models.Event{},
	models.UploadAttempt{},
	models.StagedContent{},
	models.ContentAccess{},
	models.Subscription{},
	models.ReceiptChain{},
	models.ReceiptEntry{},
	models.SignedReceipt{},
	models.Statement{},
	models.Notification{},
	models.LogLeaf{},
	models.LogPending{},
	models.LogCheckpoint{},
	models.ServedContent{},
	models.TusUpload{},
	models.TusSegment{},
	models.TusDigest{},
}

func TestSchema_HasNotDriftedFromTheModels(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		for _, model := range tables {
			s, err := schema.Parse(model, &sync.Map{}, schema.NamingStrategy{})
			require.NoError(t, err)
			columns, err := b.DB().Write(t.Context()).Migrator().ColumnTypes(s.Table)
			require.NoError(t, err)
			var have, want, wantKeys []string
			haveKeys := keyColumns(b, t, s.Table)
			for _, c := range columns {
				have = append(have, c.Name())
				nullable, ok := c.Nullable()
				require.True(t, ok)
				if f := s.LookUpField(c.Name()); f != nil && !f.PrimaryKey {
					require.Equal(t, f.FieldType.Kind() == reflect.Pointer, nullable, "%s.%s", s.Table, c.Name())
				}
			}
			for _, f := range s.Fields {
				if f.DBName != "" {
					want = append(want, f.DBName)
				}
			}
			for _, f := range s.PrimaryFields {
				wantKeys = append(wantKeys, f.DBName)
			}
			for _, list := range [][]string{have, want, haveKeys, wantKeys} {
				slices.Sort(list)
			}
			require.Equal(t, want, have, s.Table)
			require.Equal(t, wantKeys, haveKeys, s.Table)
		}
	})
}

// keyColumns are those of a table's primary key.
func keyColumns(b *storetest.Bundle, t *testing.T, table string) []string {
	t.Helper()
	query := "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indisprimary AND i.indrelid = ?::regclass"
	if b.DB().Dialect() == db.SQLite {
		query = "SELECT name FROM pragma_table_info(?) WHERE pk > 0"
	}
	var names []string
	require.NoError(t, b.DB().Write(t.Context()).Raw(query, table).Scan(&names).Error)
	return names
}

func TestMigrate_GoesUpDownAndUpAgain(t *testing.T) {
	storetest.OnBoth(t, func(t *testing.T, b *storetest.Bundle) {
		require.NoError(t, b.Migrate(t.Context()), "a repeat changes nothing")
		require.NoError(t, b.Ready(t.Context()))
		m, err := b.DB().Migrator()
		require.NoError(t, err)
		_, err = m.DownTo(t.Context(), 0)
		require.NoError(t, err)
		require.ErrorIs(t, b.Ready(t.Context()), db.ErrSchema)
		require.NoError(t, b.Migrate(t.Context()))
	})
}

func TestMigrate_BySeveralProcessesAtOnce(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		wg.Go(func() {
			s, err := store.Open(url, store.Options{})
			if err == nil {
				err = errors.Join(s.Migrate(t.Context()), s.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestOpen_RefusesUnknownDatabases(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "mysql://x", "file.db"} {
		_, err := store.Open(url, store.Options{})
		require.Error(t, err)
	}
}

func TestStore_SaysUnavailableWhenItsDiskIsFull(t *testing.T) {
	t.Parallel()
	b := storetest.Setup(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	require.NoError(t, b.DB().Write(t.Context()).Exec("PRAGMA max_page_count = 1").Error, "it cannot grow any more")
	require.Eventually(t, func() bool {
		_, err := b.AcceptTransfer(t.Context(), storetest.Submission(storetest.Bob), "run", time.Hour)
		require.True(t, err == nil || errors.Is(err, models.ErrUnavailable), "%v", err)
		return err != nil
	}, 20*time.Second, time.Millisecond)
}

func TestStore_SaysUnavailableWhenTheDatabaseIsSilent(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, silent.Close()) }()
	s, err := store.Open("postgres://nobody@"+silent.Addr().String()+"/none?sslmode=disable", store.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	began := time.Now()
	_, err = s.ResourceByID(t.Context(), "x")
	require.ErrorIs(t, err, models.ErrUnavailable)
	require.Less(t, time.Since(began), 2*db.Patience)
}

func TestStore_SaysUnavailableWhenTheDatabaseIsDown(t *testing.T) {
	t.Parallel()
	s, err := store.Open("postgres://nobody@127.0.0.1:1/none?sslmode=disable&connect_timeout=2", store.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.ErrorIs(t, s.Ready(t.Context()), models.ErrUnavailable)
	_, err = s.ResourceByID(t.Context(), "x")
	require.ErrorIs(t, err, models.ErrUnavailable)
	require.ErrorIs(t, s.InsertServiceOwner(t.Context(), storetest.As(storetest.Owner), "x"), models.ErrUnavailable)
}
