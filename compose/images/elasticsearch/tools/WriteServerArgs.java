import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.elasticsearch.bootstrap.ServerArgs;
import org.elasticsearch.common.bytes.BytesReference;
import org.elasticsearch.common.io.stream.BytesStreamOutput;
import org.elasticsearch.common.settings.KeyStoreWrapper;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;

/**
 * Writes the start message of the server, with the server's own classes.
 *
 * `cut HOME FOLDER`, when the image is built: the message is `head`, the number of settings, each setting as a name
 * and a text, `tail`. The container's start script then fills in the settings without starting a JVM for it.
 *
 * `whole HOME`, when the container starts with settings that need the server's own reader (a nested
 * elasticsearch.yml, letters beyond ASCII): NUL-separated NAME=VALUE on stdin, the message on stdout.
 */
public class WriteServerArgs {
    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[1]);
        switch (arguments[0]) {
            case "cut" -> cut(home, Path.of(arguments[2]));
            case "whole" -> System.out.write(whole(home));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void cut(Path home, Path folder) throws Exception {
        KeyStoreWrapper secrets = KeyStoreWrapper.create();
        byte[] none = message(home, secrets, Settings.EMPTY);
        byte[] one = message(home, secrets, Settings.builder().put("a", "b").build());
        // the count, the length of the name, the name, the type (0, a text), the length of the text, the text
        byte[] expected = {1, 1, 'a', 0, 1, 'b'};
        int at = 0;
        while (none[at] == one[at]) at++;
        if (none[at] != 0 || !Arrays.equals(expected, Arrays.copyOfRange(one, at, at + expected.length))) {
            throw new IllegalStateException("the server writes its settings in another way than expected");
        }
        Files.write(folder.resolve("head"), Arrays.copyOfRange(none, 0, at));
        Files.write(folder.resolve("tail"), Arrays.copyOfRange(none, at + 1, none.length));
    }

    private static byte[] whole(Path home) throws Exception {
        Map<String, String> given = new HashMap<>();
        for (String word : new String(System.in.readAllBytes(), StandardCharsets.UTF_8).split("\0")) {
            int equals = word.indexOf('=');
            if (equals > 0) given.put(word.substring(0, equals), word.substring(equals + 1));
        }
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            Settings.EMPTY, given, home.resolve("config"), () -> System.getenv("HOSTNAME"));
        return message(home, KeyStoreWrapper.create(), environment.settings());
    }

    private static byte[] message(Path home, KeyStoreWrapper secrets, Settings settings) throws Exception {
        try (BytesStreamOutput out = new BytesStreamOutput()) {
            new ServerArgs(false, false, null, secrets, settings, home.resolve("config"), home.resolve("logs")).writeTo(out);
            return BytesReference.toBytes(out.bytes());
        }
    }
}
