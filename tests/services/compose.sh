# shellcheck shell=bash
# The services as containers of docker/compose.yaml, for a machine that has Docker and lacks Java or Redis.
# Sourced by `up`; $dir is the set being started (lib.sh).

docker_runs() {
    command -v docker >/dev/null && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1
}

start_compose() {
    local project
    project=$(basename "$dir" | tr 'A-Z.' 'a-z-')
    echo "$project" >"$dir/compose"
    take_port AUREN_KAFKA_PORT 19092
    take_port AUREN_KAFKA_ZK_PORT 19192
    take_port AUREN_REDIS_PORT 16379
    take_port AUREN_POSTGRES_PORT 15432
    AUREN_REDIS_PASSWORD=auren-tests AUREN_POSTGRES_PASSWORD=auren-tests
    export AUREN_KAFKA_PORT AUREN_KAFKA_ZK_PORT AUREN_REDIS_PORT AUREN_POSTGRES_PORT
    export AUREN_REDIS_PASSWORD AUREN_POSTGRES_PASSWORD
    local compose=(docker compose -f "$root/docker/compose.yaml" -p "$project" --profile zookeeper)
    "${compose[@]}" up -d --wait --wait-timeout 300 kafka kafka-zk redis timescaledb >&2 || {
        "${compose[@]}" logs --tail 40 >&2
        fail "docker compose could not start the services"
    }
    cat >"$dir/exports" <<-END
		export AUREN_TEST_KAFKA=127.0.0.1:$AUREN_KAFKA_PORT
		export AUREN_TEST_KAFKA_ZK=127.0.0.1:$AUREN_KAFKA_ZK_PORT
		export AUREN_TEST_REDIS=redis://:$AUREN_REDIS_PASSWORD@127.0.0.1:$AUREN_REDIS_PORT
		export AUREN_TEST_POSTGRES=postgres://auren:$AUREN_POSTGRES_PASSWORD@127.0.0.1:$AUREN_POSTGRES_PORT/auren?sslmode=disable
	END
}
