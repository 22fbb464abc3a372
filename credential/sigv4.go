package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"
)

// awsKeys are AWS credentials; they sign and are never sent, but for session.
type awsKeys struct {
	id      string
	secret  Secret
	session Secret // sent along with temporary keys
	from    string // for people: "aws environment", "aws profile dev"
}

// secrets are what no error may show.
func (k awsKeys) secrets() []string { return []string{k.secret.Reveal(), k.session.Reveal()} }

const sigAlgorithm = "AWS4-HMAC-SHA256"

// sign adds the headers of AWS Signature Version 4 to a request, its Host aside, that has no path
// but "/" and no query: all that the two APIs used here need. Every header in header is signed.
func (k awsKeys) sign(method string, u *url.URL, header map[string]string, body, region, service string, at time.Time) {
	stamp := at.UTC().Format("20060102T150405Z")
	header["X-Amz-Date"] = stamp
	if !k.session.IsZero() {
		header["X-Amz-Security-Token"] = k.session.Reveal()
	}
	lines := []string{"host:" + u.Host + "\n"}
	names := []string{"host"}
	for name, value := range header {
		name = strings.ToLower(name)
		names = append(names, name)
		lines = append(lines, name+":"+strings.Join(strings.Fields(value), " ")+"\n")
	}
	slices.Sort(names)
	slices.SortFunc(lines, func(a, b string) int {
		x, _, _ := strings.Cut(a, ":")
		y, _, _ := strings.Cut(b, ":")
		return strings.Compare(x, y)
	})
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{method, "/", "", strings.Join(lines, ""), signed, hexSum(body)}, "\n")
	scope := strings.Join([]string{stamp[:8], region, service, "aws4_request"}, "/")
	text := strings.Join([]string{sigAlgorithm, stamp, scope, hexSum(canonical)}, "\n")
	key := []byte("AWS4" + k.secret.Reveal())
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	header["Authorization"] = sigAlgorithm + " Credential=" + k.id + "/" + scope +
		", SignedHeaders=" + signed + ", Signature=" + hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
