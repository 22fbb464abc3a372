package credential

import (
	"strings"
	"testing"

	"github.com/drayage/dray/fault"
)

func TestAProxyThatWouldBeIgnoredIsRefused(t *testing.T) {
	for value, why := range map[string]string{
		"":                                       "",
		"proxy.example":                          "",
		"127.0.0.1:3128":                         "",
		"http://user:canary-7f3a91@[::1]:3128":   "",
		"socks5://proxy.example:1080":            "",
		"127.0.0.1:9x":                           "not the address of a proxy",
		"http://user:canary-7f3a91@proxy:9x":     "not the address of a proxy",
		"http://user:canary-7f3a91@proxy:70000":  "its port is not a number",
		"proxy.example:0":                        "its port is not a number",
		"ftp://user:canary-7f3a91@proxy.example": "a proxy cannot have the scheme ftp",
		"http://%zz":                             "not the address of a proxy",
	} {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
			err := CheckProxies(func(v string) string { return map[string]string{name: value}[v] })
			switch {
			case why == "" && err != nil:
				t.Errorf("%s=%s: %v", name, value, err)
			case why != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "secret")):
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
	both := map[string]string{"HTTPS_PROXY": "proxy.example", "https_proxy": "127.0.0.1:9x"}
	if err := CheckProxies(func(v string) string { return both[v] }); err != nil {
		t.Errorf("net/http does not read https_proxy here: %v", err)
	}
}
