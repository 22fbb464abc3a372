package access

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"github.com/drayage/dray/fault"
)

// htpasswd holds the users of a file, which it reads again when the file has changed. One bcrypt
// takes a twentieth of a second. So htpasswd remembers correct passwords, by a keyed hash, and
// computes only a few at the same time, so that wrong passwords cannot use up the machine.
type htpasswd struct {
	path string
	key  [32]byte      // of the keyed hash
	turn chan struct{} // limits the bcrypt computations to bcryptAtOnce

	mu    sync.Mutex
	was   fs.FileInfo                // the file when it was read
	users map[string][]byte          // the hash of each user
	right map[[sha256.Size]byte]bool // keyed hashes of correct passwords, of the present users
}

const (
	bcryptAtOnce = 2
	maxRight     = 4096    // remembered passwords
	maxHtpasswd  = 1 << 20 // bytes of the file
)

// unchanged reports whether a file is the same file, with the same size and time, as before.
func unchanged(was, is fs.FileInfo) bool {
	return was != nil && os.SameFile(was, is) && was.Size() == is.Size() && was.ModTime().Equal(is.ModTime())
}

func newHtpasswd(path string) *htpasswd {
	h := &htpasswd{path: path, turn: make(chan struct{}, bcryptAtOnce)}
	rand.Read(h.key[:])
	return h
}

// current returns the users of the file as it is now. Errors are Invalid and name the file.
func (h *htpasswd) current() (map[string][]byte, error) {
	info, err := os.Stat(h.path)
	if err != nil {
		return nil, h.bad(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if unchanged(h.was, info) {
		return h.users, nil
	}
	if info.Size() > maxHtpasswd {
		return nil, h.bad(errors.New("the file is longer than 1 MiB"))
	}
	raw, err := os.ReadFile(h.path)
	if err != nil {
		return nil, h.bad(err)
	}
	users, err := readHtpasswd(raw)
	if err != nil {
		return nil, h.bad(err)
	}
	h.users, h.was, h.right = users, info, map[[sha256.Size]byte]bool{}
	return users, nil
}

func (h *htpasswd) bad(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	hint := "create entries with htpasswd -B"
	return &fault.Fault{Kind: fault.Invalid, Op: "read htpasswd file", Name: h.path, Hint: hint, Err: err}
}

// readHtpasswd parses lines of the form USER:HASH. Every hash must be bcrypt. No error quotes a line,
// because a line may hold a password.
func readHtpasswd(raw []byte) (map[string][]byte, error) {
	users := map[string][]byte{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, hash, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("line %d: not USER:HASH", n)
		}
		if err := checkName(user); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, twice := users[user]; twice {
			return nil, fmt.Errorf("line %d: the user appears twice", n)
		}
		if _, err := bcrypt.Cost([]byte(hash)); err != nil {
			return nil, fmt.Errorf("line %d: the hash is not a bcrypt hash", n)
		}
		users[user] = []byte(hash)
	}
	return users, lines.Err()
}

// verify reports whether the password is the user's. It may wait for other computations to finish,
// until ctx ends.
func (h *htpasswd) verify(ctx context.Context, user, password string) (bool, error) {
	users, err := h.current()
	if err != nil {
		return false, err
	}
	hash, known := users[user]
	if !known { // use the hash of any user, so that an unknown user takes as long as a known one
		for _, hash = range users {
			break
		}
	}
	mac := hmac.New(sha256.New, h.key[:])
	fmt.Fprintf(mac, "%d:%s%d:%s%s", len(user), user, len(password), password, hash)
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	h.mu.Lock()
	right := known && h.right[sum]
	h.mu.Unlock()
	if right {
		return true, nil
	}
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return false, &fault.Fault{Kind: fault.Canceled, Op: "authenticate", Err: context.Cause(ctx)}
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !known {
		return false, nil // an empty file answers at once, but then there is no user to find out about
	}
	h.mu.Lock()
	if len(h.right) >= maxRight {
		clear(h.right)
	}
	h.right[sum] = true
	h.mu.Unlock()
	return true, nil
}
