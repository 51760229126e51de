import com.espertech.esper.common.client.EPCompiled;
import com.espertech.esper.common.client.configuration.Configuration;
import com.espertech.esper.compiler.client.CompilerArguments;
import com.espertech.esper.compiler.client.EPCompileException;
import com.espertech.esper.compiler.client.EPCompilerProvider;
import com.espertech.esper.runtime.client.EPDeployException;
import com.espertech.esper.runtime.client.EPEventService;
import com.espertech.esper.runtime.client.EPRuntime;
import com.espertech.esper.runtime.client.EPRuntimeProvider;
import com.espertech.esper.runtime.client.EPStatement;
import java.lang.ref.Reference;
import java.util.Locale;

/** Three nights in a row above a threshold, per user: the rules and the stream of `auren bench detect`. */
public final class Detection {
    /** USERS NIGHTS RULES pattern|shared */
    public static void main(String[] arguments) throws Exception {
        int users = Integer.parseInt(arguments[0]), nights = Integer.parseInt(arguments[1]);
        int rules = Integer.parseInt(arguments[2]);
        boolean shared = arguments[3].equals("shared");
        // The same work on other users first, so that what is timed has been compiled by the virtual machine.
        new Run(shared, rules, Math.max(1, users / 10)).of(nights);
        System.gc();
        Run timed = new Run(shared, rules, users);
        long began = System.nanoTime();
        timed.of(nights);
        double seconds = (System.nanoTime() - began) / 1e9;
        long events = (long) users * (nights + 1);
        System.gc();
        Runtime memory = Runtime.getRuntime();
        System.out.printf(Locale.ROOT, "{\"events\": %d, \"rate\": %.1f, \"triggers\": %d, \"bytes\": %d}%n", events,
                events / seconds, timed.triggers, (memory.totalMemory() - memory.freeMemory()) / users);
        Reference.reachabilityFence(timed);
        System.exit(0);
    }

    /** A night of somebody. */
    public static final class Night {
        private final String user;
        private final double severity;

        Night(String user, double severity) {
            this.user = user;
            this.severity = severity;
        }

        public String getUser() {
            return user;
        }

        public double getSeverity() {
            return severity;
        }
    }

    static final class Run {
        final String[] users;
        final EPRuntime runtime;
        long triggers;

        Run(boolean shared, int rules, int count) throws EPCompileException, EPDeployException {
            Configuration configuration = new Configuration();
            configuration.getCommon().addEventType(Night.class);
            configuration.getRuntime().getThreading().setInternalTimerEnabled(false);
            runtime = EPRuntimeProvider.getRuntime("run-" + System.nanoTime(), configuration);
            StringBuilder module = new StringBuilder(shared ? LAST_NIGHTS : "");
            for (int rule = 0; rule < rules; rule++) {
                double threshold = 0.85 + 0.1 * rule / rules;
                module.append((shared ? ON_LAST_NIGHTS : IN_A_ROW).replace("$rule", "" + rule).replace("$t", "" + threshold));
            }
            EPCompiled compiled = EPCompilerProvider.getCompiler()
                    .compile(module.toString(), new CompilerArguments(configuration));
            for (EPStatement statement : runtime.getDeploymentService().deploy(compiled).getStatements()) {
                if (statement.getName().startsWith("rule")) {
                    statement.addListener((found, gone, of, by) -> triggers += found.length);
                }
            }
            users = new String[count];
            for (int user = 0; user < count; user++) {
                users[user] = "user-" + user;
            }
        }

        void of(int nights) {
            EPEventService service = runtime.getEventService();
            // A first night of everybody, below all thresholds: a row may begin with the next one.
            for (String user : users) {
                service.sendEventBean(new Night(user, 0), "Night");
            }
            for (int day = 0; day < nights; day++) {
                for (int user = 0; user < users.length; user++) {
                    double severity = (mixed(user ^ (long) day << 32) >>> 58) / 63.0;
                    service.sendEventBean(new Night(users[user], severity), "Night");
                }
            }
        }
    }

    /** As its documentation has it: a pattern per rule, partitioned by user; a row of such nights follows one that is not. */
    static final String IN_A_ROW = """
            @name('rule$rule') select * from Night match_recognize (
              partition by user
              measures C.user as user, C.severity as severity
              pattern (X A B C)
              define X as X.severity < $t, A as A.severity >= $t, B as B.severity >= $t, C as C.severity >= $t
            );
            """;

    /** By hand: each user's last nights are kept once for all rules, and a rule is a filter, which Esper indexes. */
    static final String LAST_NIGHTS = """
            @name('nights') insert into Nights
            select user, severity as s0, prev(1, severity) as s1, prev(2, severity) as s2, prev(3, severity) as s3
            from Night#groupwin(user)#length(4);
            """;
    static final String ON_LAST_NIGHTS = """
            @name('rule$rule') select * from Nights(s0 >= $t and s1 >= $t and s2 >= $t and (s3 is null or s3 < $t));
            """;

    /** Scatters numbers, so that one night says nothing of the next (the finaliser of SplitMix64). */
    static long mixed(long number) {
        number = (number ^ number >>> 30) * 0xBF58476D1CE4E5B9L;
        number = (number ^ number >>> 27) * 0x94D049BB133111EBL;
        return number ^ number >>> 31;
    }
}
