package product

import (
	"strings"

	"github.com/drayage/dray/credential"
)

// Dialect describes how a registry differs from distribution-spec v1.1.1. The zero value is a
// registry that conforms to it. Answers of the registry may teach more at run time.
type Dialect struct {
	Kind     string
	Chunk    int64 // bytes of one PATCH; 0 sends a blob whole, in one PUT
	MaxChunk int64 // the largest PATCH that the registry accepts, in bytes; 0 means no limit
	MinChunk int64 // the smallest PATCH except the last, in bytes; 0 means no limit

	NoChunks  bool // the registry refuses PATCH
	NoResume  bool // the status of an upload session in progress is not reliable
	FullClose bool // the last bytes go into the closing PUT, which must not be empty
	TagQuery  bool // PUT by digest accepts ?tag= (distribution-spec main, end-7b)
}

// dialects holds the dialect of each known kind.
var dialects = map[string]Dialect{
	"acr": {Kind: "acr"},
	// The Range of ECR's answers stays at the first chunk.
	"ecr":       {Kind: "ecr", MinChunk: 5 << 20, NoResume: true, FullClose: true},
	"gar":       {Kind: "gar", NoChunks: true, NoResume: true},
	"ghcr":      {Kind: "ghcr", MaxChunk: 4 << 20},
	"quay":      {Kind: "quay"},
	"dockerhub": {Kind: "dockerhub"},
	"harbor":    {Kind: "harbor"},
	"zot":       {Kind: "zot", TagQuery: true, NoResume: true}, // a request that is cut off ends the upload session
}

// kinds maps host names to kinds.
var kinds = []struct{ suffix, kind string }{
	{"docker.io", "dockerhub"},
	{".azurecr.io", "acr"}, {".azurecr.cn", "acr"}, {".azurecr.us", "acr"},
	{".amazonaws.com", "ecr"}, {".amazonaws.com.cn", "ecr"}, {"public.ecr.aws", "ecr"},
	{"ghcr.io", "ghcr"},
	{".pkg.dev", "gar"}, {"gcr.io", "gar"},
	{"quay.io", "quay"},
}

// Of returns the kind of registry at host: the configured kind, or else the one that the host name
// implies. "" means unknown.
func Of(host string, set credential.Settings) string {
	if set.Kind != "" {
		return set.Kind
	}
	for _, k := range kinds {
		if host == k.suffix || strings.HasSuffix(host, "."+strings.TrimPrefix(k.suffix, ".")) {
			return k.kind
		}
	}
	return ""
}

// DialectOf returns the dialect of the registry at host. An unknown product gets the zero Dialect.
func DialectOf(host string, set credential.Settings) Dialect {
	d := dialects[Of(host, set)]
	if set.ChunkSize > 0 && !d.NoChunks {
		d.Chunk = set.ChunkSize
	}
	return d
}
