package access

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/wire"
)

func TestTheHeadOfTheAuditLogIsSigned(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "key")
	vault := func() *Vault {
		v, err := OpenVault(t.Context(), KeySource{File: keys})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	a := open(t, Config{Vault: vault()})
	head := func(a *Access) wire.Head {
		t.Helper()
		h, err := a.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !h.Signed() {
			t.Errorf("%+v is not signed", h)
		}
		return h
	}
	if h := head(a); h.Seq != 0 || h.Hash != "" {
		t.Errorf("the head of an empty log is %+v", h)
	}
	for range 3 {
		if err := audit(t.Context(), a, Entry{Principal: "ci", Verb: "import"}); err != nil {
			t.Fatal(err)
		}
	}
	first := head(a)
	entries, err := a.Entries(t.Context(), 2, 1)
	if err != nil || first.Seq != 3 || first.Hash != entries[0].Hash || len(first.Older) != 0 {
		t.Errorf("%+v, entry %+v, %v", first, entries, err)
	}
	for what, change := range map[string]func(*wire.Head){
		"number":    func(h *wire.Head) { h.Seq++ },
		"hash":      func(h *wire.Head) { h.Hash = strings.Repeat("0", 64) },
		"time":      func(h *wire.Head) { h.At = h.At.AddDate(1, 0, 0) },
		"key":       func(h *wire.Head) { h.Key = h.Key[:10] },
		"no key":    func(h *wire.Head) { h.Key = "" },
		"signature": func(h *wire.Head) { h.Signature = "AAAA" },
	} {
		h := first
		if change(&h); h.Signed() {
			t.Errorf("a head with another %s counts as signed", what)
		}
	}
	// After a change of the key the server still knows the old one.
	old, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	fresh := "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"
	if err := os.WriteFile(keys, append([]byte(fresh), old...), 0o600); err != nil {
		t.Fatal(err)
	}
	again := head(open(t, Config{DB: a.db, Vault: vault()}))
	if again.Key == first.Key || len(again.Older) != 1 || again.Older[0] != first.Key || again.Hash != first.Hash {
		t.Errorf("after a change of the key: %+v, before: %+v", again, first)
	}
}

func TestTheServerKeepsTheHeadsOfItsAuditLog(t *testing.T) {
	a := open(t, Config{})
	file := filepath.Join(t.TempDir(), "heads.jsonl")
	var log bytes.Buffer
	keep := func(file string) {
		ended, end := context.WithCancel(t.Context())
		end()
		a.KeepHeads(ended, slog.New(slog.NewJSONHandler(&log, nil)), file)
	}
	keep(file)
	if _, err := os.Stat(file); err == nil {
		t.Error("an empty log has a head")
	}
	for range 2 {
		if err := audit(t.Context(), a, Entry{Principal: "ci", Verb: "import"}); err != nil {
			t.Fatal(err)
		}
		keep(file)
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for from, text := range map[string]string{"file": string(kept), "log": log.String()} {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if len(lines) != 2 {
			t.Fatalf("the %s has %q", from, lines)
		}
		for i, line := range lines {
			var h wire.Head
			if err := json.Unmarshal([]byte(line), &h); err != nil || !h.Signed() || h.Seq != int64(i+1) {
				t.Errorf("the %s has %s (%v)", from, line, err)
			}
		}
	}
	log.Reset()
	if err := audit(t.Context(), a, Entry{Principal: "ci", Verb: "import"}); err != nil {
		t.Fatal(err)
	}
	keep(filepath.Join(file, "below a file"))
	if !strings.Contains(log.String(), "audit head") || !strings.Contains(log.String(), "was not kept") {
		t.Errorf("the log says %s", &log)
	}
}
