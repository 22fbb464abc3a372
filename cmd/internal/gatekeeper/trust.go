package gatekeeper

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/drayage/dray/cmd/internal/config/gates"
	"github.com/drayage/dray/cmd/internal/gatekeeper/evidence"
	"github.com/drayage/dray/fault"
)

// trustOf reads what a signature is verified with.
func trustOf(s gates.Signature) (t evidence.Trust, err error) {
	for _, path := range s.Keys {
		raw, err := small(path)
		if err != nil {
			return t, err
		}
		block, _ := pem.Decode(raw)
		if block == nil || block.Type != "PUBLIC KEY" {
			return t, unusable(path, errors.New("the file has no public key in PEM form"),
				"name the file that cosign writes as cosign.pub")
		}
		if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return t, unusable(path, fmt.Errorf("the public key is damaged: %w", err), "copy the file again")
		}
		t.Keys = append(t.Keys, string(raw))
	}
	if w := s.Keyless; w != nil {
		roots, err := object(w.Roots)
		t.Keyless = &evidence.Keyless{Identity: w.Identity, IdentityRegexp: w.IdentityRegexp,
			Issuer: w.Issuer, IssuerRegexp: w.IssuerRegexp, Roots: roots}
		return t, err
	}
	if n := s.Notation; n != nil {
		policy, err := object(n.Policy)
		if err != nil {
			return t, err
		}
		if info, err := os.Stat(filepath.Join(n.Store, "truststore", "x509")); err != nil || !info.IsDir() {
			return t, unusable(n.Store, errors.New("the directory has no truststore/x509"),
				"name the directory in which notation keeps its trust store")
		}
		t.Notation = &evidence.Notation{Store: n.Store, Policy: policy}
	}
	return t, nil
}

// maxFile is the largest file of trust, in bytes.
const maxFile = 4 << 20

// object reads a small file of JSON.
func object(path string) ([]byte, error) {
	raw, err := small(path)
	if err == nil && !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		err = unusable(path, errors.New("the file is not a JSON object"), "name another file")
	}
	return raw, err
}

func small(path string) ([]byte, error) {
	f, err := os.Open(path)
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, unusable(path, p.Err, "correct the path, or create the file")
	}
	if err != nil {
		return nil, unusable(path, err, "")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("the file is longer than %d MiB", maxFile>>20)
	}
	if err != nil {
		return nil, unusable(path, err, "name another file")
	}
	return raw, nil
}

func unusable(path string, err error, hint string) error {
	return &fault.Fault{Kind: fault.Invalid, Op: "read", Name: path, Err: err, Hint: hint}
}
