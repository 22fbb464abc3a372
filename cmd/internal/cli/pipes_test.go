package cli_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	. "github.com/drayage/dray/cmd/internal/cli"
	"github.com/drayage/dray/cmd/internal/cli/app"
	"github.com/drayage/dray/internal/testbed"
)

// docker save IMAGE | dray copy docker-archive:- TARGET, and the other way around.
func TestAnArchiveGoesThroughAPipeAndNothingElseIsInIt(t *testing.T) {
	r := testbed.Distribution(t, testbed.Options{})
	image := testbed.Random(t, r, "app", "v1", testbed.RandomOptions{Layers: 2, Size: 100 << 10})
	dray := func(in io.Reader, terminal app.Terminal, args ...string) (out, err bytes.Buffer, code int) {
		t.Helper()
		code = Main(t.Context(), args, app.IO{In: in, Out: &out, Err: &err, Env: noEnv, Terminal: terminal})
		return out, err, code
	}
	for _, transport := range []string{"oci-archive:-", "docker-archive:-"} {
		packed, said, code := dray(strings.NewReader(""), app.Terminal{}, "copy", r.Host+"/app:v1", transport)
		if code != 0 || !strings.Contains(said.String(), transport) || !strings.Contains(said.String(), image.Digest()) {
			t.Errorf("%s: exit %d\n%s", transport, code, said.String())
		}
		if !bytes.HasPrefix(packed.Bytes(), []byte("oci-layout\x00")) {
			t.Errorf("%s: something is before the archive: %.50q", transport, packed.String())
		}
		for what, in := range map[string][]byte{"copy": packed.Bytes(), "half": packed.Bytes()[:packed.Len()/2], "nothing": nil} {
			_, said, code := dray(bytes.NewReader(in), app.Terminal{}, "copy", transport, r.Host+"/"+what+":v1")
			if whole := what == "copy"; (code == 0) != whole {
				t.Errorf("%s %s: exit %d\n%s", transport, what, code, said.String())
			}
		}
		testbed.Same(t, r, r, "app", "v1", "copy", "v1")
		out, said, code := dray(bytes.NewReader(packed.Bytes()), app.Terminal{}, "digest", transport)
		if code != 0 || strings.TrimSpace(out.String()) != image.Digest() {
			t.Errorf("%s: exit %d, %s%s", transport, code, out.String(), said.String())
		}
		out, said, code = dray(strings.NewReader(""), app.Terminal{Width: 80}, "copy", r.Host+"/app:v1", transport)
		if code != 2 || out.Len() > 0 || !strings.Contains(said.String(), "the standard output is a terminal") {
			t.Errorf("%s: exit %d, %q\n%s", transport, code, out.String(), said.String())
		}
	}
	if out, said, code := dray(strings.NewReader(""), app.Terminal{Width: 80}, "bundle", "have", r.Host+"/"); code != 2 || out.Len() > 0 {
		t.Errorf("bundle have: exit %d, %q\n%s", code, out.String(), said.String())
	}
}
