package backing

import (
	"fmt"
	"path/filepath"
)

const contentDir = "storage" // the content, below the directory of the registry

// Room is the space of the file system of a directory, in bytes.
type Room struct {
	Free  int64 // for this user
	Total int64
}

// The default of Storage.Free.
const (
	mostLeast  = 1 << 30
	partOfDisk = 20
)

func least(set int64, room Room) int64 {
	switch {
	case set < 0:
		return 0
	case set > 0:
		return set
	}
	return min(mostLeast, room.Total/partOfDisk)
}

// RoomAt returns the space where the content of s in dir is or will be, and how much of it stays free. ok is false if
// that is not known.
func (s Storage) RoomAt(dir string) (room Room, stays int64, ok bool) {
	if !s.Local() {
		return Room{}, 0, false
	}
	room, ok = roomIn(dir)
	return room, least(s.Free, room), ok
}

// roomIn returns the space of the directory of content in dir. If that does not exist yet, its nearest parent counts.
func roomIn(dir string) (Room, bool) {
	for at := filepath.Join(dir, contentDir); ; at = filepath.Dir(at) {
		free, total, ok := spaceOf(at)
		if ok || at == filepath.Dir(at) {
			return Room{Free: free, Total: total}, ok
		}
	}
}

// String returns a text such as "512 MiB of 8192 MiB are free".
func (r Room) String() string { return mebibytes(r.Free) + " of " + mebibytes(r.Total) + " are free" }

// mebibytes returns a text such as "12 MiB", rounded down.
func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
