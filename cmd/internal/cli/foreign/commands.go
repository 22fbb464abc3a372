package foreign

import "slices"

// Command is a command of other tools that dray does not have by this name.
type Command struct {
	Typed string // one word, or two: "tag ls"
	Of    string // the tools that have it
	Line  string // the command of dray that does it; "..." stands for the arguments. "" means that there is none
	Args  int    // how many names Line takes; 0 means any number
	Two   string // the Line for two names, "$1" and "$2", of which one is a file; "" means that there is none
	File  string // the flags of other tools whose value is a file, which is then the last name: "-o --output"
	Bare  string // the Line if the last of several names is a tag alone; "" means Line
	Below bool   // whether the last name gets the last part of the first one, as skopeo sync does
	Why   string // what dray does not do, if there is no Line, or what is different
}

// Reasons that several commands share.
const (
	keepsImages = "dray does not change images: a copy has the digest of its source"
	noEngine    = "dray works with registries, layouts and archives, not with the images of a container engine"
	intoDocker  = noEngine + "; docker load reads what copy writes to docker-archive:-"
	fromDocker  = noEngine + "; copy reads from docker-archive:- what docker save writes"
	noBlobs     = "dray moves whole images, and has no command for one blob"
	noPushes    = "dray moves whole images, and does not write one manifest"
	noAttaching = "dray lists referrers, such as signatures, and makes none"
	noAsking    = "dray does not print logins; a refusal says which one was used, and from which place"
	noSigning   = "dray does not sign images; --verify-signature of the commands that copy checks signatures"
	onePlatform = "docker load reads one platform: add --platform for an image with several"
	namesFiles  = "docker-archive:FILE is what docker save wrote, and oci-archive:FILE a layout in an archive"
)

// Commands returns the table of commands. The first word of a command of two may be one of dray's.
func Commands() []Command {
	return slices.Concat(moving(), looking(), azure(), others())
}

func moving() []Command {
	return []Command{
		{Typed: "cp", Of: "crane, oras", Line: "copy ..."},
		{Typed: "image copy", Of: "regctl", Line: "copy ..."},
		{Typed: "image cp", Of: "regctl", Line: "copy ..."},
		{Typed: "clone", Line: "copy ..."},
		{Typed: "mv", Line: "copy ...", Why: "dray does not remove the source"},
		{Typed: "move", Line: "copy ...", Why: "dray does not remove the source"},
		{Typed: "rename", Line: "copy ...", Bare: "tag ...", Why: "dray does not remove the source"},
		{Typed: "promote", Line: "copy ..."},
		{Typed: "imagetools create", Of: "docker", Line: "copy ...",
			Why: "the source comes first, and each target is a name"},
		{Typed: "sync", Of: "skopeo", Line: "transfer ...", Below: true},
		{Typed: "migrate", Line: "transfer ..."},
		{Typed: "replicate", Line: "transfer ..."},
		{Typed: "once", Of: "regsync", Line: "mirror --once ..."},
		{Typed: "retag", Of: "crane", Line: "tag ..."},
		{Typed: "image tag", Of: "docker", Line: "tag ..."},
		{Typed: "pull", Of: "docker, crane, oras", Line: "copy ... oci:image", Args: 1,
			Two: "copy $1 docker-archive:$2", Why: intoDocker},
		{Typed: "image pull", Of: "docker", Line: "copy ... oci:image", Args: 1, Why: intoDocker},
		{Typed: "save", Of: "docker, crane", Line: "copy ... docker-archive:image.tar", Args: 1,
			Two: "copy $1 docker-archive:$2", File: "-o --output", Why: onePlatform},
		{Typed: "image save", Of: "docker", Line: "copy ... docker-archive:image.tar", Args: 1,
			Two: "copy $1 docker-archive:$2", File: "-o --output", Why: onePlatform},
		{Typed: "image export", Of: "regctl", Line: "copy ... oci-archive:image.tar", Args: 1,
			Two: "copy $1 oci-archive:$2"},
		{Typed: "push", Of: "docker, crane, oras", Line: "copy oci:image ...", Args: 1,
			Two: "copy docker-archive:$1 $2", Why: fromDocker},
		{Typed: "image push", Of: "docker", Line: "copy oci:image ...", Args: 1, Why: fromDocker},
		{Typed: "load", Of: "docker", Line: "copy docker-archive:image.tar ...", Args: 1, Why: namesFiles},
		{Typed: "image load", Of: "docker", Line: "copy docker-archive:image.tar ...", Args: 1, Why: namesFiles},
		{Typed: "image import", Of: "regctl", Line: "copy oci-archive:image.tar ...", Args: 1,
			Two: "copy oci-archive:$2 $1", Why: namesFiles},
		{Typed: "backup", Of: "oras", Line: "transfer ... oci:backup/", Args: 1},
		{Typed: "restore", Of: "oras", Line: "transfer oci:backup/ ...", Args: 1},
		{Typed: "acr", Of: "az", Line: "...", Why: "dray takes the place of the words az acr"},
		{Typed: "delete", Of: "skopeo, crane", Line: "rm --manifest ..."},
		{Typed: "remove", Line: "rm ..."},
		{Typed: "untag", Line: "rm ..."},
		{Typed: "rmi", Of: "docker", Line: "rm ..."},
		{Typed: "image rm", Of: "docker", Line: "rm ..."},
		{Typed: "image delete", Of: "regctl", Line: "rm --manifest ..."},
		{Typed: "tag delete", Of: "regctl", Line: "rm ..."},
		{Typed: "tag rm", Of: "regctl", Line: "rm ..."},
		{Typed: "manifest delete", Of: "oras, regctl", Line: "rm --manifest ..."},
		{Typed: "manifest rm", Of: "regctl", Line: "rm --manifest ..."},
		{Typed: "prune", Why: "dray does not choose what is removed"},
	}
}

func looking() []Command {
	return []Command{
		{Typed: "list-tags", Of: "skopeo", Line: "ls ..."},
		{Typed: "tags", Line: "ls ..."},
		{Typed: "tag ls", Of: "regctl", Line: "ls ..."},
		{Typed: "tag list", Of: "regctl", Line: "ls ..."},
		{Typed: "repo tags", Of: "oras", Line: "ls ..."},
		{Typed: "catalog", Of: "crane", Line: "ls ..."},
		{Typed: "repo ls", Of: "oras, regctl", Line: "ls ..."},
		{Typed: "repo list", Of: "oras, regctl", Line: "ls ..."},
		{Typed: "repository ls", Line: "ls ..."},
		{Typed: "repos", Line: "ls ..."},
		{Typed: "repositories", Line: "ls ..."},
		{Typed: "history", Of: "docker", Line: "inspect ..."},
		{Typed: "list", Line: "ls ..."},
		{Typed: "image ls", Of: "docker", Line: "ls ..."},
		{Typed: "registry ls", Line: "ls ..."},
		{Typed: "show", Of: "az", Line: "inspect ..."},
		{Typed: "image inspect", Of: "docker, regctl", Line: "inspect ..."},
		{Typed: "imagetools inspect", Of: "docker", Line: "inspect ..."},
		{Typed: "config", Of: "crane", Line: "inspect --image-config ..."},
		{Typed: "image config", Of: "regctl", Line: "inspect --image-config ..."},
		{Typed: "manifest fetch-config", Of: "oras", Line: "inspect --image-config ..."},
		{Typed: "resolve", Of: "oras", Line: "digest ..."},
		{Typed: "image digest", Of: "regctl", Line: "digest ..."},
		{Typed: "manifest head", Of: "regctl", Line: "digest ..."},
		{Typed: "manifest get", Of: "regctl", Line: "manifest ..."},
		{Typed: "manifest fetch", Of: "oras", Line: "manifest ..."},
		{Typed: "manifest inspect", Of: "docker", Line: "manifest ..."},
		{Typed: "image manifest", Of: "regctl", Line: "manifest ..."},
		{Typed: "validate", Of: "crane", Line: "check ..."},
		{Typed: "ping", Of: "regctl", Line: "ls ..."},
		{Typed: "registry ping", Of: "regctl", Line: "ls ..."},
		{Typed: "doctor", Line: "check ..."},
		{Typed: "diff", Line: "verify ..."},
		{Typed: "compare", Line: "verify ..."},
		{Typed: "manifest diff", Of: "regctl", Line: "verify ..."},
		{Typed: "discover", Of: "oras", Line: "referrers ..."},
		{Typed: "artifact list", Of: "regctl", Line: "referrers ..."},
		{Typed: "artifact tree", Of: "regctl", Line: "referrers ..."},
		{Typed: "artifact", Of: "regctl", Why: noAttaching},
		{Typed: "search", Of: "docker", Why: "dray lists registries and does not search them"},
		{Typed: "images", Of: "docker", Why: noEngine},
		{Typed: "layers", Of: "skopeo", Why: noBlobs},
	}
}

// azure returns the subcommands of az acr that manage Azure's registries, and not the images in them.
func azure() []Command {
	const (
		manages   = "dray copies images at any registry, and does not manage those of Azure: use az acr for it"
		noBuilds  = "dray does not build images or run tasks: use az acr for it"
		pipelines = "transfer and copy do without pipelines and storage accounts"
		deleted   = "dray does not see what a registry keeps of removed images: use az acr for it"
	)
	all := []Command{
		{Typed: "check-health", Of: "az", Line: "check ...", Why: "dray looks at one image"},
		{Typed: "credential", Of: "az", Why: manages},
		{Typed: "create", Of: "az", Why: manages},
		{Typed: "repository list-deleted", Of: "az", Why: deleted},
		{Typed: "manifest list-deleted", Of: "az", Why: deleted},
		{Typed: "manifest list-deleted-tags", Of: "az", Why: deleted},
		{Typed: "manifest restore", Of: "az", Why: deleted},
		{Typed: "manifest metadata", Of: "az", Why: "az has list-metadata and show-metadata, and dray has them too"},
		{Typed: "pack", Of: "az", Why: noBuilds},
		{Typed: "task", Of: "az", Why: noBuilds},
		{Typed: "taskrun", Of: "az", Why: noBuilds},
		{Typed: "agentpool", Of: "az", Why: noBuilds},
		{Typed: "export-pipeline", Of: "az", Why: pipelines},
		{Typed: "import-pipeline", Of: "az", Why: pipelines},
		{Typed: "pipeline-run", Of: "az", Why: pipelines},
	}
	for _, word := range []string{
		"artifact-streaming", "cache", "check-name", "config content-trust", "config retention", "config soft-delete",
		"config authentication-as-arm", "connected-registry", "credential-set", "encryption", "helm", "identity",
		"network-rule", "private-endpoint-connection", "private-link-resource", "replication", "scope-map",
		"show-endpoints", "show-usage", "update", "webhook",
	} {
		all = append(all, Command{Typed: word, Of: "az", Why: manages})
	}
	return all
}

func others() []Command {
	return []Command{
		{Typed: "auth login", Of: "crane", Line: "login ..."},
		{Typed: "auth logout", Of: "crane", Line: "logout ..."},
		{Typed: "auth", Of: "crane", Line: "login ..."},
		{Typed: "registry login", Of: "regctl", Line: "login ..."},
		{Typed: "registry logout", Of: "regctl", Line: "logout ..."},
		{Typed: "registry serve", Of: "crane", Line: "serve ..."},
		{Typed: "registry", Of: "crane, regctl", Line: "serve ..."},
		{Typed: "server", Line: "serve ..."},
		{Typed: "daemon", Line: "serve ..."},
		{Typed: "gc", Line: "serve gc ..."},
		{Typed: "garbage-collect", Of: "distribution", Line: "serve gc ..."},
		{Typed: "token", Line: "serve token ..."},
		{Typed: "secret", Line: "serve secret ..."},
		{Typed: "audit", Line: "serve audit ..."},
		{Typed: "job", Line: "jobs ..."},
		{Typed: "schedule", Line: "schedules ..."},
		{Typed: "status", Line: "mirror status ...", Why: "the command jobs list shows the jobs of a server"},
		{Typed: "init", Why: "dray works without a configuration file"},
		{Typed: "attach", Of: "oras", Why: noAttaching},
		{Typed: "buildx", Of: "docker",
			Why: "copy and inspect do what imagetools create and imagetools inspect do"},
		{Typed: "whoami", Why: noAsking},
		{Typed: "annotate", Of: "docker", Why: keepsImages},
		{Typed: "mutate", Of: "crane", Why: keepsImages},
		{Typed: "append", Of: "crane", Why: keepsImages},
		{Typed: "rebase", Of: "crane", Why: keepsImages},
		{Typed: "flatten", Of: "crane", Why: keepsImages},
		{Typed: "edit", Of: "crane", Why: keepsImages},
		{Typed: "image mod", Of: "regctl", Why: keepsImages},
		{Typed: "index", Of: "crane, oras, regctl", Why: keepsImages},
		{Typed: "manifest create", Of: "docker", Why: keepsImages},
		{Typed: "build", Of: "docker", Why: keepsImages},
		{Typed: "run", Of: "docker", Why: noEngine},
		{Typed: "blob", Of: "crane, oras, regctl", Why: noBlobs},
		{Typed: "manifest push", Of: "oras, docker", Why: noPushes},
		{Typed: "manifest put", Of: "regctl", Why: noPushes},
		{Typed: "export", Of: "crane", Why: "dray does not unpack layers"},
		{Typed: "sign", Why: noSigning},
		{Typed: "standalone-sign", Of: "skopeo", Why: noSigning},
		{Typed: "standalone-verify", Of: "skopeo", Why: noSigning},
	}
}
