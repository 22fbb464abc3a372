"""Asks a server of dray what Azure's SDK for registries can ask, and prints what it got: sdk.py ENDPOINT REPO."""
import hashlib
import io
import json
import os
import sys
import time

from azure.containerregistry import ArtifactTagOrder, ContainerRegistryClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError


class Token:
    def get_token(self, *scopes, **kwargs):
        return AccessToken(os.environ["DRAY_TOKEN"], int(time.time()) + 3600)


def status(call):
    try:
        call()
        return 0
    except HttpResponseError as e:
        return e.status_code


endpoint, repo = sys.argv[1], sys.argv[2]
got = {}
with ContainerRegistryClient(endpoint, Token(), retry_total=0) as c:
    got["repositories"] = [r for r in c.list_repository_names() if r == repo]
    p = c.get_repository_properties(repo)
    got["counts"] = [p.tag_count, p.manifest_count]
    got["times"] = p.created_on is not None and p.last_updated_on >= p.created_on
    got["newest first"] = [t.name for t in c.list_tag_properties(repo, order_by=ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING, results_per_page=2)]
    got["oldest first"] = [t.name for t in c.list_tag_properties(repo, order_by=ArtifactTagOrder.LAST_UPDATED_ON_ASCENDING)]
    got["untagged"] = len([m for m in c.list_manifest_properties(repo, results_per_page=2) if not m.tags])
    m = c.get_manifest_properties(repo, "v1")
    got["manifest"] = [m.architecture, m.operating_system, m.size_in_bytes > 0, m.tags]
    got["tag"] = c.get_tag_properties(repo, "v1").digest == m.digest

    t = c.get_tag_properties(repo, "v1")
    t.can_write = t.can_delete = False
    t = c.update_tag_properties(repo, "v1", t)
    got["locked"] = [t.can_write, t.can_delete, t.can_read]
    got["delete what is locked"] = [status(lambda: c.delete_tag(repo, "v1")), status(lambda: c.delete_manifest(repo, "v1")), status(lambda: c.delete_repository(repo))]
    manifest = c.get_manifest(repo, "v2")
    got["put over what is locked"] = status(lambda: c.set_manifest(repo, manifest.manifest, tag="v1", media_type=manifest.media_type))
    t = c.update_tag_properties(repo, "v1", can_write=True, can_delete=True)
    got["unlocked"] = [t.can_write, t.can_delete]
    got["repository"] = c.update_repository_properties(repo, can_delete=False).can_delete
    got["delete in a locked repository"] = status(lambda: c.delete_tag(repo, "v1"))
    c.update_repository_properties(repo, can_delete=True)
    got["manifest locked"] = c.update_manifest_properties(repo, m.digest, can_delete=False).can_delete
    c.update_manifest_properties(repo, m.digest, can_delete=True)

    data = b"dray" * 1000
    digest, size = c.upload_blob(repo, io.BytesIO(data))
    got["blob"] = [size, digest == "sha256:" + hashlib.sha256(data).hexdigest(), b"".join(c.download_blob(repo, digest)) == data]
    got["copy"] = c.set_manifest(repo, manifest.manifest, tag="copy", media_type=manifest.media_type).startswith("sha256:")
    c.delete_tag(repo, "copy")
    got["after delete_tag"] = [status(lambda: c.get_tag_properties(repo, "copy")), status(lambda: c.get_manifest_properties(repo, "v2"))]
    c.delete_manifest(repo, m.digest)
    got["after delete_manifest"] = status(lambda: c.get_tag_properties(repo, "v1"))
    c.delete_blob(repo, digest)
    c.delete_repository(repo)
    got["after delete_repository"] = [status(lambda: c.get_repository_properties(repo)), [r for r in c.list_repository_names() if r == repo]]
with ContainerRegistryClient(endpoint, retry_total=0) as c:
    got["anonymous"] = [[t.name for t in c.list_tag_properties("public/app")], status(lambda: c.delete_tag("public/app", "v1"))]
print(json.dumps(got))
