package backing

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path"
	"strings"
)

// Storage says where the content is stored. The zero Storage means in the directory of the registry.
//
// Several processes may read and write one bucket at the same time, because content is named by its
// digest, and a tag is one object, of which the last write wins.
type Storage struct {
	// Driver is "filesystem" (the default) or "inmemory". "s3", "azure" and "gcs" are available
	// in a program that was built with the tag of that name.
	Driver string
	// Parameters are the parameters of the driver, with distribution's names: bucket, region,
	// rootdirectory, container, accountname and so on. A group of parameters is a map[string]any. An
	// empty value is the same as none.
	Parameters map[string]any
	// Redirect sends clients that pull a blob to the bucket, with an address that is valid for 20
	// minutes. It has no effect on a directory. false means that the registry sends the bytes itself:
	// clients inside a private network cannot always reach the bucket.
	Redirect bool
	// Free is how many bytes stay free on the disk of a directory: what would leave less is not written. 0 means
	// the smaller of 1 GiB and 5 % of the disk, and a negative number none. It has no effect on a bucket.
	Free int64
}

const inDirectory = "filesystem"

// Local reports whether the content is in a directory of this machine.
func (s Storage) Local() bool { return s.Driver == "" || s.Driver == inDirectory }

// ID identifies a bucket and the directory in it. Servers with the same content have the same ID, also if
// they reach the bucket by different addresses. It is "" if the content is in a directory.
func (s Storage) ID() string {
	if s.Local() {
		return ""
	}
	sum := sha256.Sum256([]byte(s.Driver + "\x00" + s.text("accountname") + "\x00" + s.bucket() + "\x00" + s.root()))
	return hex.EncodeToString(sum[:8])
}

// String names the storage for people, without secrets, such as "s3 bucket images/team".
func (s Storage) String() string {
	if s.Local() {
		return "directory"
	}
	return strings.TrimSpace(s.Driver + " bucket " + path.Join(s.bucket(), s.root()))
}

// Hosts returns the hosts to which Redirect sends clients, as far as the parameters name them.
func (s Storage) Hosts() []string {
	var all []string
	add := func(address string) {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			all = append(all, u.Host)
			if s.Driver == "s3" { // the bucket is part of the name of the host, unless the driver is told otherwise
				all = append(all, s.bucket()+"."+u.Host)
			}
		}
	}
	switch s.Driver {
	case "s3":
		endpoint := cmp.Or(s.text("redirectendpoint"), s.text("regionendpoint"))
		if endpoint != "" && !strings.Contains(endpoint, "://") {
			endpoint = "https://" + endpoint
		}
		add(endpoint)
	case "azure":
		realm := cmp.Or(s.text("realm"), "core.windows.net")
		add(cmp.Or(s.text("serviceurl"), "https://"+s.text("accountname")+".blob."+realm))
	}
	return all
}

func (s Storage) bucket() string { return cmp.Or(s.text("bucket"), s.text("container")) }

func (s Storage) root() string { return strings.Trim(path.Clean("/"+s.text("rootdirectory")), "/") }

func (s Storage) text(key string) string {
	v, _ := s.Parameters[key].(string)
	return v
}
