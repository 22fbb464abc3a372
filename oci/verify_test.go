package oci

import (
	"bytes"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/fault"
)

func TestVerifierKnowsRightFromWrong(t *testing.T) {
	content := []byte("some bytes of a layer")
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA384, digest.SHA512} {
		d := Descriptor{Digest: alg.FromBytes(content), Size: int64(len(content))}
		for name, tt := range map[string]struct {
			bytes []byte
			want  fault.Kind
		}{
			"right":     {content, ""},
			"short":     {content[1:], fault.Corrupt},
			"long":      {append(bytes.Clone(content), 'x'), fault.Corrupt},
			"a bit off": {append([]byte{content[0] ^ 1}, content[1:]...), fault.Corrupt},
		} {
			v, err := NewVerifier(d)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = v.Write(tt.bytes); err == nil {
				err = v.Verify()
			}
			if fault.KindOf(err) != tt.want {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
	}
}

func TestVerifierTakesNothingOfAnEmptyBlob(t *testing.T) {
	v, _ := NewVerifier(Descriptor{Digest: Sum(nil)})
	if err := v.Verify(); err != nil {
		t.Error(err)
	}
	if _, err := v.Write([]byte("x")); !fault.Is(err, fault.Corrupt) {
		t.Error("Write accepted a byte for an empty blob")
	}
}

func TestReadAllReturnsNoBytesThatAreNotTheBlob(t *testing.T) {
	right := []byte("a layer")
	d := Descriptor{Digest: Sum(right), Size: int64(len(right))}
	if got, err := ReadAll(bytes.NewReader(right), d); err != nil || string(got) != string(right) {
		t.Errorf("%q %v", got, err)
	}
	for _, wrong := range []string{"", "a laye", "A layer", "a layer and more"} {
		if got, err := ReadAll(strings.NewReader(wrong), d); !fault.Is(err, fault.Corrupt) || got != nil {
			t.Errorf("%q: %q %v", wrong, got, err)
		}
	}
}

func TestVerifierGoesOnFromAMark(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 100)
	d := Descriptor{Digest: digest.SHA512.FromBytes(content), Size: int64(len(content))}
	v, _ := NewVerifier(d)
	v.Write(content[:333])
	mark, err := v.Mark()
	if err != nil {
		t.Fatal(err)
	}
	v.Write([]byte("what another try brought"))
	other, _ := NewVerifier(d)
	for _, v := range []*Verifier{v, other} {
		if err := v.Return(mark); err != nil || v.At() != 333 {
			t.Fatalf("at %d, %v", v.At(), err)
		}
		v.Write(content[333:])
		if err := v.Verify(); err != nil {
			t.Error(err)
		}
	}
}
