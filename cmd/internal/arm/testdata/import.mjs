// Speaks to the server as Azure's JavaScript SDK does (core-lro: poll the Location, as often as
// Retry-After says, until the status is not 202), with node's own fetch.
const [base, registry, source, target, mode] = process.argv.slice(2);
const headers = { authorization: `Bearer ${process.env.DRAY_TOKEN}`, "content-type": "application/json", accept: "application/json" };

async function request(url, init) {
  const r = await fetch(url, { ...init, headers });
  const text = await r.text();
  return { r, body: text ? JSON.parse(text) : {} };
}

const [registryUri, ...rest] = source.split("/");
let { r, body } = await request(
  `${base}/subscriptions/any/resourceGroups/any/providers/Microsoft.ContainerRegistry/registries/${registry}/importImage?api-version=2025-11-01`,
  { method: "POST", body: JSON.stringify({ source: { registryUri, sourceImage: rest.join("/") }, targetTags: [target], mode }) },
);
let polls = 0;
let location = r.headers.get("location");
while (r.status === 202) {
  location = r.headers.get("location") ?? location;
  await new Promise((done) => setTimeout(done, Number(r.headers.get("retry-after") ?? "2") * 1000));
  ({ r, body } = await request(new URL(location).href, { method: "GET" }));
  polls++;
}
console.log(JSON.stringify({ status: r.status, code: body.error?.code, succeeded: body.status === "Succeeded", polled: polls > 0 }));
