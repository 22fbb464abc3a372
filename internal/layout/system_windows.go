package layout

import "os"

// nonblock has no effect on Windows, which has no named pipes in directories.
const nonblock = 0

// syncDir does nothing, because Windows cannot sync a directory.
func syncDir(*os.Root, string) error { return nil }
