package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	sqliteschema "go.temporal.io/server/schema/sqlite"
)

// storeName is the name that the server's configuration gives to SQLite, which holds the
// executions and the visibility records in one database.
const storeName = "sqlite"

// openSQLite prepares a SQLite database in file, or in memory when file is empty.
func openSQLite(file string) (config.Persistence, error) {
	db := memoryConfig()
	if file != "" {
		path, err := filepath.Abs(file)
		if err != nil {
			return config.Persistence{}, fmt.Errorf("find %s: %w", file, err)
		}
		if err := setUpSQLite(path); err != nil {
			return config.Persistence{}, err
		}
		// With a write-ahead log this is two to three times as fast and safe when the process is
		// killed. A power failure may lose the last commits, which development can live with.
		db = fileConfig(path, map[string]string{"journal_mode": "wal", "synchronous": "normal"})
	}
	return config.Persistence{
		DefaultStore:     storeName,
		VisibilityStore:  storeName,
		NumHistoryShards: 1,
		DataStores:       map[string]config.DataStore{storeName: {SQL: db}},
	}, nil
}

// memoryConfig is one database in memory, shared by the connections of this process.
func memoryConfig() *config.SQL {
	return &config.SQL{
		PluginName:        sqlite.PluginName,
		DatabaseName:      "devstack",
		ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
	}
}

// fileConfig is the database at path, with the given pragmas.
func fileConfig(path string, pragmas map[string]string) *config.SQL {
	attributes := map[string]string{"mode": "rwc"}
	maps.Copy(attributes, pragmas)
	return &config.SQL{PluginName: sqlite.PluginName, DatabaseName: path, ConnectAttributes: attributes}
}

// setUpSQLite makes the database at path when there is none. The schema is written beside it
// and moved into place when complete, so that a devstack killed meanwhile leaves nothing half
// made behind.
func setUpSQLite(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for database: %w", err)
	}
	unfinished := path + ".unfinished"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove unfinished database: %w", err)
	}
	// No log or journal files here, they would keep the old name.
	pragmas := map[string]string{"journal_mode": "off", "synchronous": "off"}
	if err := sqliteschema.SetupSchema(fileConfig(unfinished, pragmas)); err != nil {
		return fmt.Errorf("create schema in %s: %w", unfinished, err)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return fmt.Errorf("put database in place: %w", err)
	}
	return nil
}
