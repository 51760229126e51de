import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** Triggers in, two conversation events out for each, and a state per user in a store with a changelog. */
public final class River {
    static final ObjectMapper JSON = new ObjectMapper();
    static final String SENTENCE = "Your overnight HRV is a quarter under your usual range. Keep today's session easy, "
            + "and aim for an early night.";

    /** BROKERS PREFIX memory|rocksdb [PROPERTY=VALUE ...] */
    public static void main(String[] arguments) {
        String prefix = arguments[1];
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, prefix + "streams");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, "streams-" + prefix);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        for (int at = 3; at < arguments.length; at++) {
            String[] property = arguments[at].split("=", 2);
            settings.put(property[0], property[1]);
        }
        KeyValueBytesStoreSupplier kept = arguments[2].equals("memory")
                ? Stores.inMemoryKeyValueStore("sessions")
                : Stores.persistentKeyValueStore("sessions");
        StreamsBuilder river = new StreamsBuilder();
        river.addStateStore(
                Stores.keyValueStoreBuilder(kept, Serdes.String(), Serdes.ByteArray()).withLoggingEnabled(Map.of()));
        river.stream(prefix + "triggers.detected", Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .process(Session::new, "sessions")
                .to(prefix + "conversations.events", Produced.with(Serdes.String(), Serdes.ByteArray()));
        KafkaStreams streams = new KafkaStreams(river.build(), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    static final class Session implements Processor<String, byte[], String, byte[]> {
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, byte[]> sessions;

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            this.sessions = context.getStateStore("sessions");
        }

        @Override
        public void process(Record<String, byte[]> record) {
            try {
                JsonNode trigger = JSON.readTree(record.value());
                byte[] before = sessions.get(record.key());
                long turn = before == null ? 1 : JSON.readTree(before).path("turn").asLong() + 1;
                JsonNode agents = trigger.path("recommended_agents");
                for (int seat = 1; seat <= agents.size(); seat++) {
                    ObjectNode event = event(trigger, agents.get(seat - 1).asText(), turn, seat, agents.size());
                    context.forward(record.withValue(JSON.writeValueAsBytes(event)).withHeaders(headers(event)));
                }
                ObjectNode state = JSON.createObjectNode().put("turn", turn);
                state.set("cause", trigger.get("trigger_id"));
                state.set("at", trigger.get("timestamp"));
                state.set("said", agents);
                sessions.put(record.key(), JSON.writeValueAsBytes(state));
            } catch (IOException refused) {
                throw new UncheckedIOException(refused);
            }
        }
    }

    static ObjectNode event(JsonNode trigger, String agent, long turn, int seat, int seats) {
        String cause = trigger.path("trigger_id").asText(), user = trigger.path("user_id").asText();
        ObjectNode event = JSON.createObjectNode();
        event.put("event_id", id(user, cause, agent)).put("conversation_id", id(user, cause)).put("user_id", user);
        event.put("specialist_id", agent).put("message_type", "specialist_response").put("content", SENTENCE);
        ObjectNode metadata = event.putObject("metadata");
        metadata.put("cause", cause).put("cause_type", "trigger").put("turn", turn);
        metadata.set("trigger_type", trigger.get("trigger_type"));
        metadata.set("severity", trigger.get("severity"));
        metadata.put("consult_id", id("consult", user, cause, agent)).put("agent_version", "1");
        metadata.putObject("panel").put("seat", seat).put("seats", seats);
        event.set("timestamp", trigger.get("timestamp"));
        return event;
    }

    /** The same for the same cause. */
    static String id(String... cause) {
        return UUID.nameUUIDFromBytes(String.join("\0", cause).getBytes(UTF_8)).toString();
    }

    static Headers headers(ObjectNode event) {
        return new RecordHeaders()
                .add("ce_specversion", "1.0".getBytes(UTF_8))
                .add("ce_id", event.get("event_id").asText().getBytes(UTF_8))
                .add("ce_type", "auren.conversation.event.v1".getBytes(UTF_8))
                .add("ce_source", "/auren".getBytes(UTF_8))
                .add("ce_time", event.get("timestamp").asText().getBytes(UTF_8))
                .add("content-type", "application/json".getBytes(UTF_8));
    }
}
