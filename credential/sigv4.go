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

// awsKeys are AWS credentials. They sign requests. The secret itself is never sent.
type awsKeys struct {
	id      string
	secret  Secret
	session Secret // the session token of temporary keys, which is sent
	from    string // where they come from, for people: "aws environment", "aws profile dev"
}

// secrets returns the texts that no error may show.
func (k awsKeys) secrets() []string { return []string{k.secret.Reveal(), k.session.Reveal()} }

const sigAlgorithm = "AWS4-HMAC-SHA256"

// sign adds the headers of AWS Signature Version 4 to header, except Host. The request must have the path "/" and
// no query; the two APIs that dray uses need nothing else. It signs every header in header.
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
	for part := range strings.SplitSeq(scope, "/") {
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
