//! The routing table: a list in versions 0.0.x, a map that also knows how old each route is in 0.1.0.

use crate::state::{Common, Prefix, Route};
use livepatch_module::{Failure, Host, Instant, Schema, state};
use std::collections::BTreeMap;

/// A routing table.
pub trait Table {
    /// The route to a network.
    fn get(&self, prefix: Prefix) -> Option<&Route>;
    /// Adds a route, or takes it for the one that is there.
    fn put(&mut self, route: Route, now: Instant);
    /// Forgets a route.
    fn remove(&mut self, prefix: Prefix);
    /// All routes.
    fn routes(&self) -> Box<dyn Iterator<Item = &Route> + '_>;
    /// Since when the route is as it is, where that is known.
    fn since(&self, prefix: Prefix) -> Option<Instant>;
    /// Marks all routes as told.
    fn settle(&mut self);
}

/// The data of a version.
pub trait Data: Schema {
    /// Its routing table.
    type Table: Table;

    /// A router that begins.
    fn new(common: Common) -> Self;

    /// All but the table.
    fn common(&mut self) -> &mut Common;

    /// Both.
    fn parts(&mut self) -> (&mut Common, &mut Self::Table);

    /// Both, to look at.
    fn view(&self) -> (&Common, &Self::Table);
}

state! {
    /// The routing table of versions 0.0.x: a list.
    #[derive(Clone, Debug, Default)]
    pub struct List {
        /// In the order in which they came.
        pub routes: Vec<Route>,
    }
}

state! {
    /// The data of versions 0.0.x.
    pub struct First {
        /// All but the table.
        pub common: Common,
        /// The table.
        pub table: List,
    }
}

impl Table for List {
    fn get(&self, prefix: Prefix) -> Option<&Route> {
        self.routes.iter().find(|route| route.prefix == prefix)
    }

    fn put(&mut self, route: Route, _now: Instant) {
        let mut routes = self.routes.iter_mut();
        match routes.find(|known| known.prefix == route.prefix) {
            Some(known) => *known = route,
            None => self.routes.push(route),
        }
    }

    fn remove(&mut self, prefix: Prefix) {
        self.routes.retain(|route| route.prefix != prefix);
    }

    fn routes(&self) -> Box<dyn Iterator<Item = &Route> + '_> {
        Box::new(self.routes.iter())
    }

    fn since(&self, _prefix: Prefix) -> Option<Instant> {
        None
    }

    fn settle(&mut self) {
        self.routes
            .iter_mut()
            .for_each(|route| route.is_changed = false);
    }
}

state! {
    /// A route of version 0.1.0.
    #[derive(Clone, Debug)]
    pub struct Aged {
        /// The route.
        pub route: Route,
        /// Since when it leads there this way, this far.
        pub since: Option<Instant>,
    }
}

state! {
    /// The routing table of version 0.1.0: found by network, in order.
    #[derive(Clone, Debug, Default)]
    pub struct Map {
        /// By network.
        pub routes: BTreeMap<Prefix, Aged>,
    }
}

state! {
    /// The data of version 0.1.0.
    pub struct Second {
        /// All but the table.
        pub common: Common,
        /// The table.
        pub table: Map,
    }
}

impl Table for Map {
    fn get(&self, prefix: Prefix) -> Option<&Route> {
        self.routes.get(&prefix).map(|aged| &aged.route)
    }

    fn put(&mut self, route: Route, now: Instant) {
        let known = self.routes.get(&route.prefix);
        let same = |aged: &&Aged| {
            let known = &aged.route;
            (known.metric, known.gateway) == (route.metric, route.gateway)
        };
        let since = known.filter(same).map_or(Some(now), |aged| aged.since);
        self.routes.insert(route.prefix, Aged { route, since });
    }

    fn remove(&mut self, prefix: Prefix) {
        self.routes.remove(&prefix);
    }

    fn routes(&self) -> Box<dyn Iterator<Item = &Route> + '_> {
        Box::new(self.routes.values().map(|aged| &aged.route))
    }

    fn since(&self, prefix: Prefix) -> Option<Instant> {
        self.routes.get(&prefix)?.since
    }

    fn settle(&mut self) {
        let routes = self.routes.values_mut();
        routes.for_each(|aged| aged.route.is_changed = false);
    }
}

macro_rules! data {
    ($data:ident, $table:ident) => {
        impl Data for $data {
            type Table = $table;

            fn new(common: Common) -> Self {
                let table = $table::default();
                Self { common, table }
            }

            fn common(&mut self) -> &mut Common {
                &mut self.common
            }

            fn parts(&mut self) -> (&mut Common, &mut $table) {
                (&mut self.common, &mut self.table)
            }

            fn view(&self) -> (&Common, &$table) {
                (&self.common, &self.table)
            }
        }
    };
}

data!(First, List);
data!(Second, Map);

/// From the list to the map; how old the routes are was not known.
///
/// # Errors
/// Never.
pub fn widen(_host: &Host<'_>, old: &First) -> Result<Second, Failure> {
    let aged = old.table.routes.iter().map(|route| {
        let route = *route;
        (route.prefix, Aged { route, since: None })
    });
    Ok(Second {
        common: old.common.clone(),
        table: Map {
            routes: aged.collect(),
        },
    })
}

/// From the map back to the list.
///
/// # Errors
/// Never.
pub fn narrow(_host: &Host<'_>, new: &Second) -> Result<First, Failure> {
    Ok(First {
        common: new.common.clone(),
        table: List {
            routes: new.table.routes.values().map(|aged| aged.route).collect(),
        },
    })
}
