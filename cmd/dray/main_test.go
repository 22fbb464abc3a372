package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMain is dray if the test program is called dray.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "dray" {
		main()
	}
	os.Exit(m.Run())
}
