#!/bin/sh
# Prints the home of a Java that Spark can run on. Looks at JAVA_HOME, then at the PATH; as root on Debian or Ubuntu it
# installs the headless runtime. Otherwise one line says what to install, and the exit code is 1.
set -eu

OLDEST=17

# home JAVA: where that java lives, if it is new enough.
home() {
    properties=$("$1" -XshowSettings:properties -version 2>&1) || return 1
    version=$(printf '%s\n' "$properties" | sed -n 's/^ *java\.specification\.version = //p')
    case $version in '' | *[!0-9]*) return 1 ;; esac    # Java 8 calls itself 1.8
    [ "$version" -ge "$OLDEST" ] || return 1
    printf '%s\n' "$properties" | sed -n 's/^ *java\.home = //p'
}

find_java() {
    if [ -n "${JAVA_HOME:-}" ] && home "$JAVA_HOME/bin/java"; then return; fi
    on_path=$(command -v java) && home "$on_path"
}

install_java() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "Java $OLDEST or newer was not found; installing it with apt-get" >&2
    apt-get update -qq >&2 || return 1
    for release in 17 21 25; do
        package=openjdk-$release-jre-headless
        if apt-cache show "$package" >/dev/null 2>&1; then
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >&2 || return 1
            home "$(dpkg -L "$package" | grep '/bin/java$' | head -n 1)"
            return
        fi
    done
    return 1
}

find_java || install_java || {
    echo "Spark needs Java $OLDEST or newer, and neither JAVA_HOME nor the PATH has one: install a JRE" \
        "(Debian, Ubuntu: openjdk-17-jre-headless; macOS: brew install openjdk@17) or set JAVA_HOME" >&2
    exit 1
}
