package client

import (
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

func TestAClientSendsItsTokenOnlyOverTLSOrToLoopback(t *testing.T) {
	token := credential.New("dray_x")
	for url, ok := range map[string]bool{
		"https://dray.example": true, "https://dray.example/": true, "https://dray.example" + wire.Prefix: true, "http://127.0.0.1:5000": true, "http://localhost:5000": true,
		"http://dray.example": false, "dray.example": false, "https://u:p@dray.example": false, "ftp://x": false, "https://dray.example?x=y": false, "": false,
	} {
		c, err := New(Config{URL: url, Token: token})
		if ok != (err == nil) || err != nil && !fault.Is(err, fault.Invalid) || err != nil && strings.Contains(err.Error(), ":p@") {
			t.Errorf("%q: %v", url, err)
		}
		if ok && !strings.HasSuffix(c.base, wire.Prefix) || ok && strings.Count(c.base, wire.Prefix) != 1 {
			t.Errorf("%q: %s", url, c.base)
		}
	}
	for _, c := range []Config{{URL: "https://x", CA: "/nothing"}, {URL: "https://x", Cert: "/nothing", Key: "/nothing"}} {
		if _, err := New(c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestAnAnswerWithoutAProblemHasTheKindOfItsStatus(t *testing.T) {
	for status, kind := range map[int]fault.Kind{502: fault.Unavailable, 404: fault.NotFound, 418: fault.Invalid, 599: fault.Unavailable, 401: fault.Denied} {
		if err := faultOf(status, nil, []byte("<html>")); fault.KindOf(err) != kind {
			t.Errorf("%d: %v", status, err)
		}
	}
}
