import com.azure.containers.containerregistry.ContainerRegistryClient;
import com.azure.containers.containerregistry.ContainerRegistryClientBuilder;
import com.azure.containers.containerregistry.ContainerRegistryContentClient;
import com.azure.containers.containerregistry.ContainerRegistryContentClientBuilder;
import com.azure.containers.containerregistry.ContainerRepository;
import com.azure.containers.containerregistry.RegistryArtifact;
import com.azure.containers.containerregistry.models.ArtifactManifestProperties;
import com.azure.containers.containerregistry.models.ArtifactTagOrder;
import com.azure.containers.containerregistry.models.ArtifactTagProperties;
import com.azure.containers.containerregistry.models.ContainerRegistryAudience;
import com.azure.containers.containerregistry.models.ContainerRepositoryProperties;
import com.azure.containers.containerregistry.models.GetManifestResult;
import com.azure.containers.containerregistry.models.SetManifestOptions;
import com.azure.containers.containerregistry.models.UploadRegistryBlobResult;
import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenCredential;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.http.policy.FixedDelayOptions;
import com.azure.core.http.policy.RetryOptions;
import com.azure.core.util.BinaryData;
import com.azure.core.util.Context;
import java.io.ByteArrayOutputStream;
import java.nio.channels.Channels;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import reactor.core.publisher.Mono;

/** Asks a server of dray what Azure's SDK for registries can ask, and prints what it got: Sdk ENDPOINT REPO. */
public class Sdk {
    static int status(Runnable call) {
        try {
            call.run();
            return 0;
        } catch (HttpResponseException e) {
            return e.getResponse().getStatusCode();
        }
    }

    static String json(Object o) {
        if (o instanceof List<?> l) {
            return l.stream().map(Sdk::json).collect(Collectors.joining(",", "[", "]"));
        }
        if (o instanceof Number || o instanceof Boolean) {
            return o.toString();
        }
        return "\"" + o + "\"";
    }

    public static void main(String[] args) throws Exception {
        String endpoint = args[0], repo = args[1];
        TokenCredential credential = request -> Mono.just(new AccessToken(System.getenv("DRAY_TOKEN"), OffsetDateTime.now().plusHours(1)));
        RetryOptions once = new RetryOptions(new FixedDelayOptions(0, Duration.ofMillis(1)));
        ContainerRegistryClient client = new ContainerRegistryClientBuilder().endpoint(endpoint).credential(credential)
            .audience(ContainerRegistryAudience.AZURE_RESOURCE_MANAGER_PUBLIC_CLOUD).retryOptions(once).buildClient();
        ContainerRegistryContentClient content = new ContainerRegistryContentClientBuilder().endpoint(endpoint).repositoryName(repo)
            .credential(credential).audience(ContainerRegistryAudience.AZURE_RESOURCE_MANAGER_PUBLIC_CLOUD).retryOptions(once).buildClient();
        ContainerRepository repository = client.getRepository(repo);
        Map<String, Object> got = new LinkedHashMap<>();

        got.put("repositories", client.listRepositoryNames().stream().filter(repo::equals).toList());
        ContainerRepositoryProperties p = repository.getProperties();
        got.put("counts", List.of(p.getTagCount(), p.getManifestCount()));
        got.put("times", !p.getLastUpdatedOn().isBefore(p.getCreatedOn()));
        RegistryArtifact first = repository.getArtifact("v1");
        // listTagProperties of an artifact asks for the tags of one digest, so the others come one by one.
        List<String> tags = List.of("v3", "v2", "v1").stream().flatMap(tag -> repository.getArtifact(tag)
            .listTagProperties(ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING, Context.NONE).stream()).map(ArtifactTagProperties::getName).toList();
        got.put("newest first", tags);
        got.put("oldest first", List.of(tags.get(2), tags.get(1), tags.get(0)));
        got.put("untagged", repository.listManifestProperties().stream().filter(m -> m.getTags() == null || m.getTags().isEmpty()).count());
        ArtifactManifestProperties m = first.getManifestProperties();
        got.put("manifest", List.of(m.getArchitecture(), m.getOperatingSystem(), m.getSizeInBytes() > 0, m.getTags()));
        got.put("tag", first.getTagProperties("v1").getDigest().equals(m.getDigest()));

        ArtifactTagProperties t = first.updateTagProperties("v1", new ArtifactTagProperties().setWriteEnabled(false).setDeleteEnabled(false));
        got.put("locked", List.of(t.isWriteEnabled(), t.isDeleteEnabled(), t.isReadEnabled()));
        got.put("delete what is locked", List.of(status(() -> first.deleteTag("v1")), status(first::delete), status(repository::delete)));
        GetManifestResult second = content.getManifest("v2");
        BinaryData manifest = BinaryData.fromBytes(second.getManifest().toBytes());
        got.put("put over what is locked", status(() -> content.setManifestWithResponse(
            new SetManifestOptions(manifest, second.getManifestMediaType()).setTag("v1"), Context.NONE)));
        t = first.updateTagProperties("v1", new ArtifactTagProperties().setWriteEnabled(true).setDeleteEnabled(true));
        got.put("unlocked", List.of(t.isWriteEnabled(), t.isDeleteEnabled()));
        got.put("repository", repository.updateProperties(new ContainerRepositoryProperties().setDeleteEnabled(false)).isDeleteEnabled());
        got.put("delete in a locked repository", status(() -> first.deleteTag("v1")));
        repository.updateProperties(new ContainerRepositoryProperties().setDeleteEnabled(true));
        RegistryArtifact byDigest = repository.getArtifact(m.getDigest());
        got.put("manifest locked", byDigest.updateManifestProperties(new ArtifactManifestProperties().setDeleteEnabled(false)).isDeleteEnabled());
        byDigest.updateManifestProperties(new ArtifactManifestProperties().setDeleteEnabled(true));

        byte[] data = "dray".repeat(1000).getBytes();
        UploadRegistryBlobResult blob = content.uploadBlob(BinaryData.fromBytes(data));
        ByteArrayOutputStream back = new ByteArrayOutputStream();
        content.downloadStream(blob.getDigest(), Channels.newChannel(back));
        String sum = "sha256:" + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        got.put("blob", List.of(blob.getSizeInBytes(), blob.getDigest().equals(sum), Arrays.equals(back.toByteArray(), data)));
        got.put("copy", content.setManifestWithResponse(new SetManifestOptions(manifest, second.getManifestMediaType()).setTag("copy"),
            Context.NONE).getValue().getDigest().equals(second.getDigest()));
        first.deleteTag("copy");
        got.put("after delete_tag", List.of(status(() -> first.getTagProperties("copy")), status(() -> repository.getArtifact("v2").getManifestProperties())));
        byDigest.delete();
        got.put("after delete_manifest", status(() -> first.getTagProperties("v1")));
        content.deleteBlob(blob.getDigest());
        repository.delete();
        got.put("after delete_repository", List.of(status(repository::getProperties), client.listRepositoryNames().stream().filter(repo::equals).toList()));
        RegistryArtifact nobody = new ContainerRegistryClientBuilder().endpoint(endpoint).retryOptions(once)
            .audience(ContainerRegistryAudience.AZURE_RESOURCE_MANAGER_PUBLIC_CLOUD).buildClient().getRepository("public/app").getArtifact("v1");
        got.put("anonymous", List.of(nobody.listTagProperties().stream().map(ArtifactTagProperties::getName).toList(), status(() -> nobody.deleteTag("v1"))));
        System.out.println(got.entrySet().stream().map(e -> json(e.getKey()) + ":" + json(e.getValue())).collect(Collectors.joining(",", "{", "}")));
        System.exit(0);
    }
}
