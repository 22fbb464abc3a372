// Asks a server of dray what Azure's SDK for registries can ask, and prints what it got:
// node sdk.mjs MODULES ENDPOINT REPO. The login is that of docs/from-az.md: a service principal with a token of dray.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";

const [, , modules, endpoint, repo] = process.argv;
const require = createRequire(modules + "/");
const { ContainerRegistryClient, ContainerRegistryContentClient } = require("@azure/container-registry");
const { ClientSecretCredential } = require("@azure/identity");

const credential = new ClientSecretCredential("dray", "sdk", process.env.DRAY_TOKEN, {
  authorityHost: endpoint,
  disableInstanceDiscovery: true,
});
const options = { retryOptions: { maxRetries: 0 } };
const client = new ContainerRegistryClient(endpoint, credential, options);
const content = new ContainerRegistryContentClient(endpoint, repo, credential, options);
const repository = client.getRepository(repo);

async function all(list, of) {
  const got = [];
  for await (const entry of list) got.push(of(entry));
  return got;
}
async function status(call) {
  try {
    await call();
    return 0;
  } catch (e) {
    return e.statusCode ?? String(e);
  }
}
const sum = (data) => "sha256:" + createHash("sha256").update(data).digest("hex");

const got = {};
got["repositories"] = await all(client.listRepositoryNames(), (r) => r).then((names) => names.filter((r) => r === repo));
const p = await repository.getProperties();
got["counts"] = [p.tagCount, p.manifestCount];
got["times"] = p.createdOn !== undefined && p.lastUpdatedOn >= p.createdOn;
const first = repository.getArtifact("v1");
const name = (t) => t.name;
got["newest first"] = await all(first.listTagProperties({ order: "LastUpdatedOnDescending" }), name);
got["oldest first"] = await all(first.listTagProperties({ order: "LastUpdatedOnAscending" }), name);
const manifests = await all(repository.listManifestProperties({ order: "LastUpdatedOnAscending" }), (m) => m);
got["untagged"] = manifests.filter((m) => m.tags.length === 0).length;
const m = await first.getManifestProperties();
got["manifest"] = [m.architecture, m.operatingSystem, m.sizeInBytes > 0, m.tags];
got["tag"] = (await first.getTagProperties("v1")).digest === m.digest;

let t = await first.updateTagProperties("v1", { canWrite: false, canDelete: false });
got["locked"] = [t.canWrite, t.canDelete, t.canRead];
got["delete what is locked"] = [await status(() => first.deleteTag("v1")), await status(() => first.delete()), await status(() => repository.delete())];
const second = await content.getManifest("v2");
got["put over what is locked"] = await status(() => content.setManifest(second.content, { tag: "v1", mediaType: second.mediaType }));
t = await first.updateTagProperties("v1", { canWrite: true, canDelete: true });
got["unlocked"] = [t.canWrite, t.canDelete];
got["repository"] = (await repository.updateProperties({ canDelete: false })).canDelete;
got["delete in a locked repository"] = await status(() => first.deleteTag("v1"));
await repository.updateProperties({ canDelete: true });
got["manifest locked"] = (await repository.getArtifact(m.digest).updateManifestProperties({ canDelete: false })).canDelete;
await repository.getArtifact(m.digest).updateManifestProperties({ canDelete: true });

const data = Buffer.from("dray".repeat(1000));
const blob = await content.uploadBlob(data);
const chunks = [];
for await (const chunk of (await content.downloadBlob(blob.digest)).content) chunks.push(chunk);
got["blob"] = [blob.sizeInBytes, blob.digest === sum(data), Buffer.concat(chunks).equals(data)];
got["copy"] = (await content.setManifest(second.content, { tag: "copy", mediaType: second.mediaType })).digest === second.digest;
await first.deleteTag("copy");
got["after delete_tag"] = [await status(() => first.getTagProperties("copy")), await status(() => repository.getArtifact("v2").getManifestProperties())];
await repository.getArtifact(m.digest).delete();
got["after delete_manifest"] = await status(() => first.getTagProperties("v1"));
await content.deleteBlob(blob.digest);
await repository.delete();
got["after delete_repository"] = [
  await status(() => repository.getProperties()),
  (await all(client.listRepositoryNames(), (r) => r)).filter((r) => r === repo),
];
const nobody = new ContainerRegistryClient(endpoint, options).getRepository("public/app").getArtifact("v1");
got["anonymous"] = [await all(nobody.listTagProperties(), name), await status(() => nobody.deleteTag("v1"))];
console.log(JSON.stringify(got));
