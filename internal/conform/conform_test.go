package conform_test

import (
	"testing"

	"github.com/drayage/dray/internal/conform"
	"github.com/drayage/dray/ref"
)

func TestMemoryConforms(t *testing.T) {
	conform.Run(t, conform.Suite{Open: func(t *testing.T) conform.Pair {
		t.Helper()
		m := conform.New(ref.Repo{Host: "memory.example", Path: "app"})
		return conform.Pair{Source: m, Target: m, List: m.List}
	}})
}
